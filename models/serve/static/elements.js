// Elements and their texts: whatever is written becomes a text node, never HTML.

const at = (id) => document.getElementById(id);
const make = (name, cls, text) => {
  const made = document.createElement(name);
  if (cls) made.className = cls;
  if (text !== undefined) made.textContent = text;
  return made;
};

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
