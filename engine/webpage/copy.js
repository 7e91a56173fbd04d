"use strict";
// Copies text, also where the page has no access to the clipboard's own interface.
function copyText(text, button) {
  const done = ok => {
    const was = button.dataset.label || button.textContent;
    button.dataset.label = was;
    button.textContent = ok ? "Copied" : "Press Ctrl+C";
    setTimeout(() => { button.textContent = was; }, 1500);
  };
  const old = () => {
    const area = document.createElement("textarea");
    area.value = text;
    area.className = "offscreen";
    document.body.append(area);
    area.select();
    let ok = false;
    try { ok = document.execCommand("copy"); } catch { /* not allowed */ }
    area.remove();
    button.focus();
    done(ok);
  };
  if (navigator.clipboard && window.isSecureContext) {
    navigator.clipboard.writeText(text).then(() => done(true), old);
  } else {
    old();
  }
}
document.addEventListener("click", event => {
  const button = event.target.closest("button.copy");
  if (button) copyText(button.parentElement.querySelector("code").textContent, button);
});
