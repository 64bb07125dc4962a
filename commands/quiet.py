"""Runs a module (`rasa`, `rasa_sdk`) without the deprecation warnings of its libraries.

    python -m commands.quiet rasa run ...

Sanic turns those warnings on when it is imported, after PYTHONWARNINGS was read, so they are turned off after that.
"""

import runpy
import sys
import warnings

import sanic  # noqa: F401  imported for its effect on the warning filters, which the next line undoes

warnings.simplefilter("ignore")

if __name__ == "__main__":
    sys.argv = sys.argv[1:]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
