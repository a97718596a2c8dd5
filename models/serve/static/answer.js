// An answer as it comes: thoughts and tools folded, what is said between them; and its tokens.

const scores = new WeakMap(); // of each answer its tokens with their log-probabilities

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
