# SPDX-License-Identifier: Apache-2.0
"""``python -m atomiczarr`` is the command `azr`."""
import os
import sys
import sysconfig


def program():
    """Path of the `azr` that was installed with this package."""
    here = os.path.dirname(os.path.abspath(__file__))
    places = [sysconfig.get_path("scripts")]
    for scheme in sysconfig.get_scheme_names():
        if scheme.startswith("posix"):
            places.append(sysconfig.get_path("scripts", scheme))
    # pip install --target
    places.append(os.path.join(os.path.dirname(here), "bin"))
    for place in places:
        path = os.path.join(place, "azr")
        if os.access(path, os.X_OK):
            return path
    sys.exit("azr: the program is not where the package was installed: "
             + ", ".join(dict.fromkeys(places)))


def main():
    path = program()
    os.execv(path, ["azr", *sys.argv[1:]])


if __name__ == "__main__":
    main()
