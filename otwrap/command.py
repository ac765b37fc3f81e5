"""TEMPORARY SHIM: helper 'process' replaces this file."""
import shlex
class Command:
    def __init__(self, argv, *, setup=(), env=None, env_remove=(), stdin=None, shell=False, timeout=None, memory=None, cpus=1, ok_codes=(0,), success=(), failure=()):
        self.argv=shlex.split(argv) if isinstance(argv,str) else list(argv); self.cpus=cpus; self.timeout=timeout; self.memory=memory
    def fingerprint(self): return {"argv":self.argv}
    def check_names(self,names):
        pass
    def format(self,values):
        out=[]
        for a in self.argv:
            for k,v in values.items(): a=a.replace("{%s}"%k,v)
            out.append(a)
        return out
