"""Controls the running media player by voice, through playerctl.

The program needs playerctl, and kwsd in the same Python environment (see the README).
"""

import subprocess

import kwsd

COMMANDS = {"go": "play", "stop": "pause", "right": "next", "left": "previous"}

for event in kwsd.subscribe(keywords=list(COMMANDS)):
    print(f"{event.keyword} ({event.score:.2f}): playerctl {COMMANDS[event.keyword]}", flush=True)
    subprocess.run(["playerctl", COMMANDS[event.keyword]], check=False)
