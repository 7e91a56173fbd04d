"use strict";
// copyText copies text, even where the clipboard API is unavailable, and shows the outcome on
// the button.
function copyText(text, button) {
  const done = ok => {
    const was = button.dataset.label || button.textContent;
    button.dataset.label = was;
    button.textContent = ok ? "Copied" : "Copy failed";
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

// saveText downloads lines, which are lists of cells, as a CSV file.
function saveText(name, lines) {
  const quote = s => /[",\r\n]/.test(s) ? `"${s.replaceAll('"', '""')}"` : s;
  const url = URL.createObjectURL(new Blob([lines.map(l => l.map(quote).join(",")).join("\n") + "\n"], { type: "text/csv" }));
  const a = document.createElement("a");
  a.href = url;
  a.download = name + ".csv";
  a.click();
  setTimeout(() => URL.revokeObjectURL(url), 10000);
}
document.addEventListener("click", event => {
  const button = event.target.closest("button.save");
  if (!button) return;
  const box = button.previousElementSibling;
  saveText(box.getAttribute("aria-label").toLowerCase().replace(/[^a-z0-9]+/g, "-").slice(0, 60), [...box.querySelectorAll("tr")].map(r => [...r.cells].map(c => (c.querySelector("code") || c).textContent.replaceAll("\n", " in "))));
});
