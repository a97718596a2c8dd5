// What is asked of the server, and what comes back: server-sent events, one JSON object each.

function headers() {
  const key = at("key").value.trim();
  return { "Content-Type": "application/json", ...(key ? { Authorization: `Bearer ${key}` } : {}) };
}

async function refusal(answer) {
  try { return (await answer.json()).error.message; } catch { return `the server answered ${answer.status}`; }
}

const number = (id) => (at(id).value.trim() === "" ? undefined : Number(at(id).value));

function body(pane) {
  const known = models.find((model) => model.id === pane.model);
  const tools = [...document.querySelectorAll("#tools input:checked")].map((box) => ({ type: box.value }))
    .filter((tool) => known && known.tools.includes(tool.type));
  const system = at("system").value.trim();
  return {
    model: pane.model,
    messages: [...(system ? [{ role: "system", content: system }] : []), ...pane.messages],
    stream: true,
    stream_options: { include_usage: true },
    truncation: "auto",
    temperature: number("temperature"),
    top_p: number("top_p"),
    max_tokens: number("max_tokens"),
    seed: number("seed"),
    ...(tools.length ? { tools } : {}),
    logprobs: true,
    top_logprobs: 5,
  };
}

async function* events(answer) {
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let waiting = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    waiting += value;
    for (let end; (end = waiting.indexOf("\n\n")) >= 0; waiting = waiting.slice(end + 2)) {
      const data = waiting.slice(0, end).replace(/^data: /, "");
      if (data !== "[DONE]") yield JSON.parse(data);
    }
  }
}
