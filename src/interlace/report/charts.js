// Draws every figure of the page in the page's own colours, again whenever theme or width change.
(() => {
  "use strict";
  const NARROW = 560;
  const CONFIG = {
    displaylogo: false, displayModeBar: "hover", doubleClick: false, modeBarButtons: [["toImage"]],
    toImageButtonOptions: { format: "png", scale: 2 },
  };
  const root = document.documentElement;
  const drawn = new Map();

  // "@name" under a key that ends in "color" or is "family" stands for the custom property --name.
  const paint = (node, style, key = "") => {
    if (Array.isArray(node)) return node.map((item) => paint(item, style, key));
    if (node !== null && typeof node === "object") {
      return Object.fromEntries(Object.entries(node).map(([name, item]) => [name, paint(item, style, name)]));
    }
    const isPaint = typeof node === "string" && node.startsWith("@") && /(color|family)$/.test(key);
    return isPaint ? style.getPropertyValue(`--${node.slice(1)}`).trim() : node;
  };

  const draw = (figure) => {
    const canvas = figure.querySelector(".canvas");
    const width = Math.floor(canvas.clientWidth);
    if (width === 0) return;
    const spec = paint(JSON.parse(figure.querySelector(".spec").textContent), getComputedStyle(root));
    const layout = { ...spec.layout, ...(width < NARROW ? spec.narrow : {}), width };
    const options = { ...CONFIG.toImageButtonOptions, filename: canvas.id };
    Plotly.react(canvas, spec.data, layout, { ...CONFIG, toImageButtonOptions: options });
    drawn.set(figure, width);
    figure.dataset.drawn = "";
  };

  const figures = [...document.querySelectorAll("figure.chart")];
  const redraw = () => figures.forEach(draw);
  const watcher = new ResizeObserver((entries) => {
    for (const { target } of entries) {
      const figure = target.closest("figure");
      if (Math.floor(target.clientWidth) !== drawn.get(figure)) draw(figure);
    }
  });
  figures.forEach((figure) => watcher.observe(figure.querySelector(".canvas")));

  const printing = (on) => {
    if (on) root.dataset.printing = "";
    else delete root.dataset.printing;
    redraw();
  };
  // A link to a folded run unfolds it.
  const unfold = () => {
    const target = document.getElementById(location.hash.slice(1));
    if (target instanceof HTMLDetailsElement) target.open = true;
  };
  addEventListener("hashchange", unfold);
  unfold();

  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  addEventListener("beforeprint", () => printing(true));
  addEventListener("afterprint", () => printing(false));
})();
