def main(*a, **k):
    "shim"
def cli(*a, **k):
    "shim"
