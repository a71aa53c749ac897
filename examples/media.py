"""Controls the running media player by voice, through playerctl. Needs kwsd (pip install kwsd) and playerctl."""

import subprocess

import kwsd

COMMANDS = {"go": "play", "stop": "pause", "right": "next", "left": "previous"}

for event in kwsd.subscribe(keywords=list(COMMANDS)):
    print(f"{event.keyword} ({event.score:.2f}): playerctl {COMMANDS[event.keyword]}", flush=True)
    subprocess.run(["playerctl", COMMANDS[event.keyword]], check=False)
