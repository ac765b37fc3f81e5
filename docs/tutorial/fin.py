"""The temperature at the tip of a heated fin: a code as one meets them. Usage: fin.py fin.in"""

import math
import sys

deck = {}
with open(sys.argv[1]) as file:
    for line in file:
        name, equals, value = line.partition("#")[0].partition("=")
        if equals:
            deck[name.strip()] = float(value)

slope = 2 * deck["exchange"] / (deck["conductivity"] * deck["thickness"])
if slope < 0:
    sys.exit("fin: conductivity and exchange must have the same sign")
tip = deck["air"] + (deck["base"] - deck["air"]) / math.cosh(math.sqrt(slope) * deck["length"])
with open("fin.log", "w") as file:
    file.write(f"fin 1.0\n  tip temperature = {tip!r} degC\n  end of run\n")
