// Turns slides by voice: sends the cursor keys to the active window. Needs zeromq (npm install zeromq) and xdotool.
import { spawnSync } from "node:child_process"
import { Subscriber } from "zeromq"

const events = new Subscriber()
events.connect(`ipc://${process.env.XDG_RUNTIME_DIR}/kwsd/events.sock`)
events.subscribe("kwsd.keyword.left", "kwsd.keyword.right")
for await (const [, body] of events) {
  const { keyword, score } = JSON.parse(body)
  console.log(`${keyword} (${score.toFixed(2)})`)
  spawnSync("xdotool", ["key", keyword === "left" ? "Left" : "Right"])
}
