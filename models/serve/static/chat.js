// The page: a chat with one model, or with two beside each other.

let models = [];
let panes = [];
let running = 0;

const kept = (name) => { try { return sessionStorage.getItem(name) || ""; } catch { return ""; } };
const keep = (name, text) => { try { sessionStorage.setItem(name, text); } catch { /* a page without storage just forgets */ } };

function newPane(model) {
  const box = make("section", "pane");
  const title = make("h2", "", model);
  box.append(title, make("p", "empty", "Ask something. Enter sends, Shift+Enter begins a new line."));
  const pane = { model, messages: [], box, abort: null, last: null, follows: true, due: false };
  box.addEventListener("scroll", () => { pane.follows = box.scrollHeight - box.scrollTop - box.clientHeight < 80; });
  return pane;
}

function userTurn(pane, text) {
  pane.box.querySelector(".empty")?.remove();
  const turn = make("article", "turn user");
  turn.append(make("span", "mark", "You: "), make("div", "said", text));
  pane.box.append(turn);
  pane.follows = true;
}

async function answer(pane) {
  const view = answerTurn(pane);
  const before = pane.messages.length;
  const began = performance.now();
  let first = 0;
  let written = 0;
  let turn = null;
  let content = "";
  let reason = "";
  pane.abort = new AbortController();
  busy(1);
  try {
    const reply = await fetch("v1/chat/completions", { method: "POST", headers: headers(), body: JSON.stringify(body(pane)), signal: pane.abort.signal });
    if (!reply.ok) throw new Error(await refusal(reply));
    for await (const event of events(reply)) {
      if (event.error) throw new Error(event.error.message);
      if (event.usage) written = event.usage.completion_tokens;
      const choice = event.choices[0];
      if (!choice) continue;
      first ||= performance.now();
      content += choice.delta.content ?? "";
      view.add(choice.delta);
      view.scored.push(...(choice.logprobs?.content ?? []));
      if (choice.finish_reason) { reason = choice.finish_reason; turn = choice.messages; }
    }
  } catch (error) {
    if (error.name === "AbortError") reason = "stopped";
    else { view.wrong(error.message); reason = "failed"; }
  }
  pane.abort = null;
  turn ??= [];
  const last = turn.at(-1);
  const whole = last?.role === "assistant" && !last.tool_calls && (last.content.trim() || last.reasoning_content !== null);
  if (!whole) turn = content.trim() ? [{ role: "assistant", content }] : []; // a call that came to nothing is forgotten
  if (reason !== "failed") pane.messages.push(...turn);
  const seconds = (performance.now() - first) / 1000;
  const speed = written > 1 && seconds > 0 ? `, ${Math.round((written - 1) / seconds).toLocaleString("en")} tokens/s` : "";
  const told = { length: "cut off: no room is left", stopped: "stopped", failed: "" }[reason] ?? "";
  const figures = written ? `${written.toLocaleString("en")} tokens, first after ${Math.round(first - began)} ms${speed}` : "";
  view.end([told, figures].filter(Boolean).join(" · "));
  pane.last?.retry.remove();
  const retry = view.button("Retry", () => {
    if (running) return;
    pane.messages.length = before;
    view.turn.remove();
    pane.last = null;
    answer(pane);
  });
  pane.last = { retry };
  if (!turn.length && reason !== "failed") view.wrong("Nothing was said that the conversation could go on from: retry, or ask again.");
  busy(-1);
}

// The page around the panes.

function busy(more) {
  running += more;
  at("send").hidden = running > 0;
  at("stop").hidden = running === 0;
  for (const button of document.querySelectorAll(".foot button")) button.disabled = running > 0;
  if (!running) at("text").focus();
}

function begin() {
  for (const pane of panes) pane.abort?.abort();
  const two = at("arena").checked;
  panes = [at("left").value, ...(two ? [at("right").value] : [])].map(newPane);
  at("panes").className = two ? "two" : "";
  at("panes").replaceChildren(...panes.map((pane) => pane.box));
  document.querySelector(".second").hidden = !two;
  note("");
  settings();
}

function settings() {
  const shared = models.filter((model) => panes.some((pane) => pane.model === model.id));
  const names = [...new Set(shared.flatMap((model) => model.tools))];
  const had = new Map([...document.querySelectorAll("#tools input")].map((box) => [box.value, box.checked]));
  at("tools").replaceChildren(...names.map((name) => {
    const label = make("label", "check");
    const box = make("input");
    box.type = "checkbox";
    box.value = name;
    box.checked = had.get(name) ?? true;
    box.addEventListener("change", summarise);
    label.append(box, ` Tool ${name}`);
    return label;
  }));
  summarise();
}

function summarise() {
  const tools = [...document.querySelectorAll("#tools input:checked")].map((box) => box.value);
  const parts = [`temperature ${at("temperature").value || "1"}`, ...(tools.length ? [tools.join(", ")] : []), ...(at("system").value.trim() ? ["system message"] : [])];
  at("summary").textContent = `· ${parts.join(" · ")}`;
}

function note(text) {
  at("note").textContent = text;
  at("note").className = text ? "bad" : "";
}

async function load() {
  note("");
  let answered;
  try {
    answered = await fetch("v1/models", { headers: headers() });
  } catch {
    note("the server does not answer; is it running?");
    return;
  }
  if (answered.status === 401) {
    at("keyed").hidden = false;
    at("settings").open = true;
    note(`This server asks for a key. ${at("key").value ? "The one that was given is wrong." : "Put it into the settings."}`);
    at("key").focus();
    return;
  }
  if (!answered.ok) { note(await refusal(answered)); return; }
  models = (await answered.json()).data.filter((model) => model.chat);
  if (!models.length) { note("No model here can chat: their tokenizers have no tokens for turns. The API's /v1/completions answers for them."); return; }
  for (const [place, id] of ["left", "right"].entries()) {
    at(id).replaceChildren(...models.map((model) => { const one = make("option", "", model.id); one.value = model.id; return one; }));
    at(id).selectedIndex = Math.min(place, models.length - 1);
  }
  begin();
  at("text").focus();
}

function ask() {
  const text = at("text").value;
  if (!text.trim() || running || !panes.length) return;
  at("text").value = "";
  fit();
  for (const pane of panes) {
    userTurn(pane, text);
    pane.messages.push({ role: "user", content: text });
    answer(pane);
  }
}

function fit() {
  at("text").style.height = "auto";
  at("text").style.height = `${at("text").scrollHeight + 2}px`;
}

at("ask").addEventListener("submit", (event) => { event.preventDefault(); ask(); });
at("text").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) { event.preventDefault(); ask(); }
});
at("text").addEventListener("input", fit);
at("stop").addEventListener("click", () => { for (const pane of panes) pane.abort?.abort(); });
at("new").addEventListener("click", () => { begin(); at("text").focus(); });
for (const id of ["left", "right", "arena"]) at(id).addEventListener("change", begin);
for (const id of ["temperature", "system"]) at(id).addEventListener("input", summarise);
at("tokens").addEventListener("change", () => document.querySelectorAll(".turn.assistant").forEach(showTokens));
at("key").value = kept("winnow-key");
at("key").addEventListener("change", () => { keep("winnow-key", at("key").value.trim()); load(); });
load();
