"use strict";
// Without a clipboard (a file opened over plain HTTP, an old browser) there is no button that does nothing.
if (navigator.clipboard) {
  for (const button of document.querySelectorAll("button.copy")) {
    button.hidden = false;
    const label = button.textContent;
    button.addEventListener("click", async () => {
      const text = button.parentElement.querySelector("pre").innerText;
      try { await navigator.clipboard.writeText(text); button.textContent = "✓"; } catch { button.textContent = "✕"; }
      setTimeout(() => { button.textContent = label; }, 1500);
    });
  }
}
// On paper everything is open.
addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((part) => { part.open = true; }));
