// A chart that stays: drawn by Plotly.react, with dots beneath it that a canvas paints, because a
// browser takes 25 ms for a thousand of them as a trace.

const loadPlotly = (url) => {
  window.paretoscopePlotly ??= new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = url;
    script.onload = () => resolve(window.Plotly);
    script.onerror = () => reject(new Error(`no answer from ${url}`));
    document.head.appendChild(script);
  });
  return window.paretoscopePlotly;
};
const known = new WeakMap();
const NEAR = 8; // pixels
const NARROW = 336; // of the axes, below which labels are those for phones

// Where dots stand within the axes, in pixels, as far as they are in sight.
const places = (plot, dots) => {
  const { margin, xaxis, yaxis } = plot.layout;
  const width = plot.clientWidth - margin.l - margin.r;
  const height = plot.layout.height - margin.t - margin.b;
  const [left, right] = xaxis.range;
  const [low, high] = yaxis.range;
  return {
    width,
    height,
    points: dots.x.map((x, i) => [
      ((dots.log ? Math.log10(x) : x) - left) / (right - left) * width,
      (high - dots.y[i]) / (high - low) * height,
    ]),
  };
};

const paint = (state) => {
  const { canvas, plot, dots } = state;
  if (!dots || !plot.layout) return;
  const found = places(plot, dots);
  const { margin } = plot.layout;
  const scale = window.devicePixelRatio || 1;
  canvas.style.left = `${margin.l}px`;
  canvas.style.top = `${margin.t}px`;
  canvas.style.width = `${found.width}px`;
  canvas.style.height = `${found.height}px`;
  canvas.width = Math.round(found.width * scale);
  canvas.height = Math.round(found.height * scale);
  state.points = found.points;
  const context = canvas.getContext("2d");
  context.scale(scale, scale);
  dots.colours.forEach((colour, dark) => {
    context.fillStyle = colour;
    found.points.forEach(([x, y], i) => {
      if (Boolean(dots.dark[i]) !== Boolean(dark)) return;
      context.beginPath();
      context.arc(x, y, 2.5, 0, 2 * Math.PI);
      context.fill();
    });
  });
};

const amount = (value, unit) => {
  if (unit !== "B") return `${value.toPrecision(3)}${unit}`;
  if (value < 999.5) return `${value} B`;
  return value < 999500 ? `${Number((value / 1e3).toPrecision(3))} kB`
    : `${Number((value / 1e6).toPrecision(3))} MB`;
};

// The dot that is pointed at, unless Plotly has a point there.
const nearest = (state, event) => {
  if (!state.dots || !state.points || state.hovers) return -1;
  const box = state.canvas.getBoundingClientRect();
  const x = event.clientX - box.left;
  const y = event.clientY - box.top;
  let best = -1;
  let least = NEAR * NEAR;
  state.points.forEach(([px, py], i) => {
    const apart = (px - x) ** 2 + (py - y) ** 2;
    if (apart < least && px >= 0 && py >= 0) [best, least] = [i, apart];
  });
  return best;
};

const tell = (state, place) => {
  const { tip, canvas, dots } = state;
  tip.hidden = place < 0;
  if (place < 0) return;
  const [x, y] = state.points[place];
  const { score, unit } = dots;
  const value = dots.y[place];
  const shown = score === "%" ? `${(100 * value).toFixed(1)} %` : `${value.toPrecision(3)} ${score}`.trim();
  tip.textContent = `${dots.recipes[place]}\n${shown}, ${amount(dots.x[place], unit)}`;
  const left = canvas.offsetLeft + x;
  tip.style.top = `${canvas.offsetTop + y + 10}px`;
  tip.style.left = `${Math.max(0, Math.min(left, state.plot.clientWidth - tip.offsetWidth - 4))}px`;
};

const withDots = ({ data, layout }) => {
  const { dots } = layout.meta;
  const colour = dots.dark.map((dark) => dots.colours[Number(dark)]);
  const trace = { type: "scatter", mode: "markers", x: dots.x, y: dots.y, marker: { size: 5, color: colour } };
  return [trace, ...data];
};

const isTouched = () => window.matchMedia("(pointer: coarse)").matches;

// The same object for as long as nothing in it changes: with another one Plotly begins anew. Its
// camera saves the picture to share, of the chart as it was sent.
const configOf = (state, text, Plotly) => {
  if (state.configText === text) return state.config;
  state.configText = text;
  state.config = JSON.parse(text);
  if (isTouched()) state.config.displayModeBar = false;
  if (!JSON.parse(state.figure).layout.meta?.card) return state.config;
  const options = state.config.toImageButtonOptions;
  state.config.modeBarButtonsToRemove.push("toImage");
  state.config.modeBarButtonsToAdd = [{
    name: "Download picture",
    icon: Plotly.Icons.camera,
    click: () => {
      const figure = JSON.parse(state.figure);
      const layout = figure.layout.meta.card;
      Plotly.downloadImage({ data: withDots(figure), layout }, options);
    },
  }];
  return state.config;
};

// Labels have other places where a chart is narrow.
const isNarrow = ({ margin }, box) => box.clientWidth - margin.l - margin.r < NARROW;

const listen = (state, Plotly) => {
  const { plot } = state;
  // The width also changes where the window's stays: a sidebar folds, a scrollbar goes.
  let width = plot.clientWidth;
  new ResizeObserver(() => {
    if (plot.clientWidth === 0 || plot.clientWidth === width) return;
    width = plot.clientWidth;
    Plotly.Plots.resize(plot).catch(() => {}); // it went out of sight meanwhile
  }).observe(plot);
  plot.on("plotly_afterplot", () => {
    paint(state);
    const narrow = state.labels && isNarrow(plot.layout, plot);
    if (!state.labels || narrow === state.narrow) return;
    state.narrow = narrow;
    Plotly.relayout(plot, { annotations: state.labels[Number(narrow)] });
  });
  plot.on("plotly_hover", () => { state.hovers = true; tell(state, -1); });
  plot.on("plotly_unhover", () => { state.hovers = false; });
  plot.addEventListener("mousemove", (event) => {
    const place = nearest(state, event);
    plot.classList.toggle("paretoscope-on-dot", place >= 0);
    tell(state, place);
  });
  plot.addEventListener("mouseleave", () => tell(state, -1));
  if (!state.clicks) return;
  plot.addEventListener("click", (event) => {
    const place = nearest(state, event);
    if (place >= 0) state.trigger("clicked", state.dots.recipes[place]);
  });
  plot.on("plotly_click", ({ points }) => {
    const point = points.find((p) => p.customdata);
    const chosen = Array.isArray(point?.customdata) ? point.customdata[0] : point?.customdata;
    if (chosen) state.trigger("clicked", chosen);
  });
};

export default function ({ data, parentElement, setTriggerValue }) {
  const box = parentElement.querySelector(".paretoscope-plot");
  const [canvas, plot, tip] = box.children;
  const state = known.get(box) ?? { canvas, plot, tip };
  known.set(box, state);
  state.trigger = setTriggerValue;
  state.clicks = data.clicks;
  box.style.minHeight = `${data.height}px`;
  box.setAttribute("aria-label", data.alt);
  if (state.figure === data.figure) return;
  state.figure = data.figure;
  const turn = new Promise((resolve) => setTimeout(resolve, data.wait));
  Promise.all([loadPlotly(data.script), turn]).then(([Plotly]) => {
    if (state.figure !== data.figure) return;
    const figure = JSON.parse(data.figure);
    const config = configOf(state, data.config, Plotly);
    const { meta } = figure.layout;
    if (meta?.card) {
      // The canvas lies beneath.
      figure.layout.paper_bgcolor = figure.layout.plot_bgcolor = "rgba(0,0,0,0)";
    }
    state.labels = meta?.narrow && [figure.layout.annotations, meta.narrow];
    state.narrow = Boolean(state.labels) && isNarrow(figure.layout, box);
    if (state.narrow) figure.layout.annotations = meta.narrow;
    delete figure.layout.meta; // Plotly need not look through it
    state.dots = meta?.dots;
    // A finger that scrolls the page must not draw a box in which to zoom.
    if (isTouched()) figure.layout.dragmode = false;
    Plotly.react(plot, figure.data, figure.layout, config).then(() => {
      if (state.listens) return;
      state.listens = true;
      listen(state, Plotly);
      paint(state);
    });
  });
}
