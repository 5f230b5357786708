"""Python imports this at its start if this folder is in PYTHONPATH: what tests change in it."""

import os
import traceback


def _change() -> None:
    if "DIE_ONCE_AT" in os.environ:
        from tests.failpoints import arrange_from

        arrange_from(os.environ)
    if "STAND_IN_RTFX" in os.environ:
        from tests.cluster.stand_in import replace_engine

        replace_engine(float(os.environ["STAND_IN_RTFX"]))


try:
    _change()
except BaseException:
    traceback.print_exc()
    os._exit(70)  # Python would go on without the changes
