// A chat with one model, or with two beside each other. What a model or a person writes becomes text nodes, never HTML.
"use strict";
(() => {
  const at = (id) => document.getElementById(id);
  const make = (name, cls, text) => {
    const made = document.createElement(name);
    if (cls) made.className = cls;
    if (text !== undefined) made.textContent = text;
    return made;
  };
  const kept = (name) => { try { return sessionStorage.getItem(name) || ""; } catch { return ""; } };
  const keep = (name, text) => { try { sessionStorage.setItem(name, text); } catch { /* a page without storage just forgets */ } };

  let models = [];
  let panes = [];
  let running = 0;
  const scores = new WeakMap(); // of each answer its tokens with their log-probabilities

  // What is asked of the server.

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

  // Server-sent events, one JSON object each.
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

  // One pane: a model, its conversation, and how that looks.

  function newPane(model) {
    const box = make("section", "pane");
    const title = make("h2", "", model);
    box.append(title, make("p", "empty", "Ask something. Enter sends, Shift+Enter begins a new line."));
    const pane = { model, messages: [], box, abort: null, last: null, follows: true, due: false };
    box.addEventListener("scroll", () => { pane.follows = box.scrollHeight - box.scrollTop - box.clientHeight < 80; });
    return pane;
  }

  // Down to what was just written, unless the reader went up; once a frame, however fast it comes.
  function follow(pane) {
    if (pane.due || !pane.follows) return;
    pane.due = true;
    requestAnimationFrame(() => {
      pane.due = false;
      pane.box.scrollTop = pane.box.scrollHeight;
    });
  }

  function write(node, text) {
    if (node.lastChild?.nodeType === Node.TEXT_NODE) node.lastChild.appendData(text);
    else node.append(text);
  }

  function userTurn(pane, text) {
    pane.box.querySelector(".empty")?.remove();
    const turn = make("article", "turn user");
    turn.append(make("span", "mark", "You: "), make("div", "said", text));
    pane.box.append(turn);
    pane.follows = true;
  }

  // An answer as it comes: thoughts and tools folded, what is said in between.
  function answerTurn(pane) {
    const turn = make("article", "turn assistant");
    const parts = make("div", "parts");
    const foot = make("div", "foot");
    turn.append(make("span", "mark", `${pane.model}: `), parts, foot);
    pane.box.append(turn);
    const scored = [];
    let open = null;
    let tool = null;

    function part(kind, build) {
      if (open?.kind !== kind) {
        open?.node.classList.remove("waiting");
        open = { kind, ...build() };
        parts.append(open.outer);
      }
      open.node.classList.add("waiting");
      return open;
    }
    function folded(cls, label) {
      const outer = make("details", `part ${cls}`);
      const summary = make("summary", "", label);
      const node = make("div", "inside");
      outer.append(summary, node);
      return { outer, summary, node };
    }

    return {
      turn, scored,
      add(delta) {
        if (delta.reasoning_content !== undefined && delta.reasoning_content !== null) {
          write(part("thinking", () => folded("thought", "Thinking")).node, delta.reasoning_content);
        }
        if (delta.tool) {
          const { name, call, result } = delta.tool;
          if (call !== undefined) {
            tool = part(`call ${name}`, () => {
              const made = folded("tool", "");
              made.line = make("b");
              made.summary.append(`${name}: `, made.line);
              return made;
            });
            write(tool.node, call);
            write(tool.line, call);
          } else {
            const came = part("result", () => {
              const node = make("div", "came");
              tool?.outer.append(node);
              tool?.summary.append(" → ");
              return { outer: tool?.outer ?? node, node };
            });
            write(came.node, result);
            if (tool) write(tool.summary, result);
          }
        }
        if (delta.content) {
          const said = part("content", () => {
            const node = make("div", "said");
            return { outer: node, node };
          });
          write(said.node, delta.content);
        }
        follow(pane);
      },
      wrong(text) { parts.append(make("p", "wrong", text)); },
      end(said) {
        open?.node.classList.remove("waiting");
        if (said) foot.append(make("span", "", said));
        scores.set(turn, scored);
        showTokens(turn);
        follow(pane);
      },
      button(text, act) {
        const made = make("button", "quiet", text);
        made.type = "button";
        made.addEventListener("click", act);
        foot.append(made);
        return made;
      },
    };
  }

  // Tokens, shaded and underlined by how likely each was; a click tells what else might have come.
  function tokenView(scored) {
    const box = make("div", "tokens");
    const about = make("table", "about");
    about.hidden = true;
    const body = make("tbody");
    about.append(body);
    for (const one of scored) {
      const share = Math.exp(one.logprob);
      const named = one.bytes.length === 0 || one.token.startsWith("bytes:");
      const shown = one.token.replaceAll("\n", "↵\n").replaceAll("\t", "⇥");
      const token = make("button", `t ${share < 0.2 ? "low" : share < 0.7 ? "mid" : "high"}${named ? " named" : ""}`, shown);
      token.type = "button";
      token.title = `${one.id} · ${(100 * share).toFixed(1)} %`;
      token.addEventListener("click", () => {
        for (const other of box.querySelectorAll("[aria-pressed]")) other.removeAttribute("aria-pressed");
        token.setAttribute("aria-pressed", "true");
        const rows = one.top_logprobs.some((top) => top.id === one.id) ? one.top_logprobs : [...one.top_logprobs, one];
        body.replaceChildren(...rows.map((top) => {
          const row = make("tr", top.id === one.id ? "chosen" : "");
          row.append(make("td", "", JSON.stringify(top.token)), make("td", "", `${(100 * Math.exp(top.logprob)).toFixed(1)} %`), make("td", "", String(top.id)));
          return row;
        }));
        about.hidden = false;
        about.scrollIntoView({ block: "nearest" });
      });
      box.append(token);
    }
    box.append(about);
    return box;
  }

  // Made when somebody wants to see it: a long answer has thousands of tokens.
  function showTokens(turn) {
    const box = turn.querySelector(".tokens");
    const wanted = at("tokens").checked;
    if (box) box.hidden = !wanted;
    else if (wanted && scores.get(turn)?.length) turn.append(tokenView(scores.get(turn)));
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
})();
