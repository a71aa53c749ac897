// Left and right for slides: the cursor keys of whatever window has them. Needs: npm install zeromq, xdotool.
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
