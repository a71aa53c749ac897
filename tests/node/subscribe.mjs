// Prints kwsd's events as they come, one line each. Usage: node subscribe.mjs ADDRESS
import { Subscriber } from "zeromq"

const subscriber = new Subscriber()
subscriber.connect(process.argv[2])
subscriber.subscribe("kwsd.")
for await (const [topic, body] of subscriber) {
  console.log(topic.toString(), body.toString())
}
