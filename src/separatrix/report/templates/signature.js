/* The signature picture with its sliders: moves the measured modes and the region, and says what follows.
   Complex numbers are [re, im]. Multipliers, states and sentence are those of report/regions.py. */
"use strict";
window.separatrix = (() => {
  const data = JSON.parse(document.getElementById("signature-data").textContent);
  const disc = data.kind === "disc";
  const byId = (name) => document.getElementById(name);

  /* ---- arithmetic ---- */
  const size = ([x, y]) => Math.hypot(x, y);
  const plus = (a, b) => [a[0] + b[0], a[1] + b[1]];
  const times = (a, b) => [a[0] * b[0] - a[1] * b[1], a[0] * b[1] + a[1] * b[0]];
  const scaled = (s, a) => [s * a[0], s * a[1]];
  function root([x, y]) {
    const s = Math.sqrt((Math.hypot(x, y) + Math.abs(x)) / 2);
    if (s === 0) return [0, 0];
    return x >= 0 ? [s, y / (2 * s)] : [Math.abs(y) / (2 * s), y < 0 ? -s : s];
  }

  /* The multiplier of largest modulus of a mode z = h lambda. */
  function multiplier(z, momentum, rule) {
    if (rule === "extragradient") return plus([1, 0], plus(z, times(z, z)));
    const trace = plus([1 + momentum, 0], scaled(rule === "averaged" ? 1 - momentum : 1, z));
    const gap = root(plus(times(trace, trace), [-4 * momentum, 0]));
    const a = scaled(0.5, plus(trace, gap)), b = scaled(0.5, plus(trace, scaled(-1, gap)));
    return size(a) >= size(b) ? a : b;
  }

  /* Points of the curve |m| = 1, densest near 0. */
  function boundary(momentum, rule) {
    const curve = [], other = [];
    for (let i = 0; i <= 720; i++) {
      const phi = Math.PI * (i / 360 - 1) ** 3, m = [Math.cos(phi), Math.sin(phi)];
      if (rule === "extragradient") {
        const gap = root([1 - 4 * (1 - m[0]), 4 * m[1]]);
        curve.push([(-1 + gap[0]) / 2, gap[1] / 2]);
        other.push([(-1 - gap[0]) / 2, -gap[1] / 2]);
      } else {
        const s = rule === "averaged" ? 1 - momentum : 1;
        curve.push([((1 + momentum) * (m[0] - 1)) / s, ((1 - momentum) * m[1]) / s]);
      }
    }
    return curve.concat(other);
  }

  /* ---- what is measured, at a setting ---- */
  const remaining = data.remaining || null;
  const fate = (s, steps) => (steps && s > 0 && steps * Math.abs(Math.log(s)) < 1 ? "neutral" : s > 1 ? "grows" : "decays");
  function state(s, around, converged, steps = remaining) {
    if (!converged) return "not converged";
    const grows = around.map((other) => fate(other, steps) === "grows");
    return grows.every(Boolean) ? "grows" : grows.some(Boolean) ? "undecided" : fate(s, steps);
  }

  function planeModes(step, momentum) {
    return data.points.map((p) => {
      const at = scaled(step, [p.real, p.imag]), r = step * (p.residual || 0);
      const around = [[r, 0], [0, r], [-r, 0], [0, -r]].map((d) => size(multiplier(plus(at, d), momentum, data.rule)));
      const m = multiplier(at, momentum, data.rule);
      return { at, multiplier: m, residual: r, label: p.label || "", state: state(size(m), around, p.converged) };
    });
  }
  const measuredModes = () => data.points.map((p) => discMode([p.real, p.imag], p.residual || 0, p.label, p.converged));
  const discMode = (m, r, label, converged, steps) =>
    ({ at: m, multiplier: m, residual: r, label: label || "", state: state(size(m), [size(m) - r, size(m) + r], converged, steps) });
  const asMeasured = (i, j) =>
    Math.abs(Math.log(data.table.steps[i] / data.step_scale)) < 1e-9 && Math.abs(data.table.momenta[j] - data.momentum) < 1e-9;
  function tableModes(i, j) {
    if (asMeasured(i, j)) return measuredModes();
    return data.table.multipliers[i][j].map((m, k) => discMode(m, data.model_gap, (data.points[k] || {}).label, true));
  }

  /* ---- in words ---- */
  function significant(x, digits = 2) {
    return x === 0 ? "0" : x.toFixed(Math.min(100, Math.max(0, digits - 1 - Math.floor(Math.log10(Math.abs(x))))));
  }
  const change = (m) =>
    m >= 2 ? `by a factor of ${significant(m)} per step` : `by ${significant(100 * Math.abs(m - 1))}% per step`;
  function turning(m, steps = remaining) {
    const angle = Math.abs(Math.atan2(m[1], m[0])), slowest = (2 * Math.PI) / (steps || 1000);
    if (angle < Math.max(slowest, size(m) > 1 ? Math.log(size(m)) : 0)) return "without turning";
    if (Math.PI - angle < 1e-9) return `changing sign at every step`;
    return `a rotation with a period of ${significant((2 * Math.PI) / angle)} steps`;
  }
  const setting = (step, momentum) =>
    `At ${step === 1 ? "1.0" : significant(step)} × the step` + (momentum === null ? "" : ` and momentum ${+momentum.toFixed(2)}`);
  function sentence(modes, where) {
    const sure = modes.filter((m) => m.state !== "not converged"), n = sure.length;
    if (!n) return `${where}: no converged mode to judge by.`;
    const [growing, unsure, neutral] = ["grows", "undecided", "neutral"].map((s) => sure.filter((m) => m.state === s));
    const be = (some) => (some.length === 1 ? "is" : "are"), idle = `neutral over the ${remaining} steps to go`;
    let words = growing.length
      ? `${growing.length} of ${n} measured modes ${growing.length === 1 ? "grows" : "grow"}; the fastest `
      : unsure.length ? `no measured mode surely grows; ${unsure.length} of ${n} ${be(unsure)} too close to call`
      : neutral.length ? `no measured mode grows; ${neutral.length} of ${n} ${be(neutral)} ${idle}`
      : n > 1 ? `all ${n} measured modes decay; the slowest ` : "the one measured mode decays ";
    if (growing.length || !(unsure.length || neutral.length)) {
      const chosen = growing.length ? growing : sure, top = Math.max(...chosen.map((m) => size(m.multiplier)));
      const first = chosen.find((m) => size(m.multiplier) >= top - 1e-9);
      words += `${change(size(first.multiplier))}, ${turning(first.multiplier)}`;
      if (unsure.length) words += `; ${unsure.length} more ${be(unsure)} too close to call`;
    }
    if (neutral.length && (growing.length || unsure.length)) words += `; ${neutral.length} more ${be(neutral)} ${idle}`;
    return `${where}: ${words}.`;
  }

  /* ---- drawing ---- */
  function element(name, attributes, text) {
    const node = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const key in attributes) node.setAttribute(key, attributes[key]);
    if (text !== undefined) node.textContent = text;
    return node;
  }
  function snap(x, factors = [1, 2, 5, 10]) {
    const power = 10 ** Math.floor(Math.log10(x));
    return factors.map((f) => f * power).find((v) => v >= x * (1 - 1e-9));
  }
  const brief = (x, digits) => String(+x.toPrecision(digits)).replace("-", "−");
  const shown = (x) => String(+x.toPrecision(6)).replace("-", "−");
  const shownComplex = ([x, y]) => `${x.toFixed(4)} ${y < 0 ? "−" : "+"} ${Math.abs(y).toFixed(4)}i`.replace("-", "−");
  const shapes = {
    decays: "M-5 0a5 5 0 1 0 10 0a5 5 0 1 0-10 0Z", grows: "M0-7 7 0 0 7-7 0Z",
    neutral: "M0-6 6 5-6 5Z", undecided: "M-4-4h8v8h-8Z", "not converged": "M-4.5-4.5 4.5 4.5M-4.5 4.5 4.5-4.5",
  };

  /* Both axes have one scale, so that circles are round. view: {x, y} centre, {w, h} half sizes to show at least. */
  function picture(svg, aspect, view, modes, curves, marked = null) {
    const W = Math.max(240, svg.parentNode.clientWidth), H = Math.round(W * aspect), bottom = 38, top = 6, right = 8, h = H - top - bottom;
    // Room on the left for the longest label; with it the scale changes a little, and so may the labels.
    let left = 46, w, unit, spacing;
    for (let i = 0, wanted = left; i < 3; i++) {
      left = wanted;
      w = W - left - right;
      unit = Math.min(w / (2 * view.w), h / (2 * view.h));
      spacing = snap(46 / unit);
      const ends = [1, -1].map((s) => shown(spacing * Math.trunc((view.y + (s * h) / 2 / unit) / spacing)).length);
      wanted = Math.max(46, 16 + 7 * Math.max(...ends));
    }
    const X = (x) => left + w / 2 + (x - view.x) * unit, Y = (y) => top + h / 2 - (y - view.y) * unit;
    svg.setAttribute("viewBox", `0 0 ${W} ${H}`);
    svg.replaceChildren();
    const clip = element("clipPath", { id: `${svg.id}-clip` }), inside = element("g", { "clip-path": `url(#${svg.id}-clip)` });
    clip.append(element("rect", { x: left, y: top, width: w, height: h }));
    svg.append(clip, inside);
    const path = (points) => "M" + points.map((p) => `${X(p[0]).toFixed(2)} ${Y(p[1]).toFixed(2)}`).join("L") + "Z";
    inside.append(element("path", { class: "stable", d: path(curves[0].points) }));
    for (const value of disc ? [0, 1] : [0]) inside.append(element("path", { class: "axis", d: `M${X(value)} ${top}v${h}` }));
    inside.append(element("path", { class: "axis", d: `M${left} ${Y(0)}h${w}` }));
    for (const c of curves.slice().reverse()) inside.append(element("path", { class: c.name, d: path(c.points) }));
    const order = ["not converged", "decays", "neutral", "undecided", "grows"];
    for (const mode of modes.slice().sort((a, b) => order.indexOf(a.state) - order.indexOf(b.state))) {
      const mark = element("path", { class: `mode ${mode.state.replace(" ", "-")}`, d: shapes[mode.state],
        transform: `translate(${X(mode.at[0]).toFixed(2)} ${Y(mode.at[1]).toFixed(2)})` });
      mark.addEventListener("pointerenter", () => {
        const name = mode.label ? `${mode.label}: ` : "", words = { undecided: "too close to call", neutral: "is neutral" };
        byId("readout").textContent = `${name}${disc ? "m" : "h·λ"} = ${shownComplex(mode.at)}, ${words[mode.state] || mode.state}; |m| = ` +
          `${size(mode.multiplier).toFixed(4)}, ${turning(mode.multiplier)}; residual ${brief(mode.residual, 1)}`;
      });
      inside.append(mark);
    }
    if (marked) inside.append(element("rect", { class: "window", x: X(marked.x - marked.w), y: Y(marked.h),
      width: 2 * marked.w * unit, height: 2 * marked.h * unit }));
    const frame = element("path", { class: "frame", d: `M${left} ${top}v${h}h${w}` });
    svg.append(frame);
    const lastX = view.x + w / 2 / unit, lastY = view.y + h / 2 / unit;
    for (let k = Math.ceil((view.x - w / 2 / unit) / spacing); k * spacing <= lastX; k++)
      svg.append(element("path", { class: "frame", d: `M${X(k * spacing)} ${top + h}v4` }),
        element("text", { class: "tick", x: X(k * spacing), y: H - 20, "text-anchor": "middle" }, shown(k * spacing)));
    for (let k = Math.ceil((view.y - h / 2 / unit) / spacing); k * spacing <= lastY; k++)
      svg.append(element("path", { class: "frame", d: `M${left} ${Y(k * spacing)}h-4` }),
        element("text", { class: "tick", x: left - 7, y: Y(k * spacing) + 4, "text-anchor": "end" }, shown(k * spacing)));
    svg.append(element("text", { class: "tick", x: left + w / 2, y: H - 4, "text-anchor": "middle" }, disc ? "Re m" : "Re h·λ"));
    svg.append(element("text", { class: "tick", x: left + 6, y: top + 12 }, disc ? "Im m" : "Im h·λ"));
  }

  function wholeView(modes, curve) {
    const reach = Math.max(1, ...modes.map((m) => size(m.at)));
    if (disc) return { x: 0, y: 0, w: 1.12 * reach, h: 1.12 * reach };
    const reals = modes.map((m) => m.at[0]), leftmost = Math.min(0, ...reals);
    const edge = Math.max(Math.min(...curve.map((p) => p[0])), Math.min(2.5 * leftmost, -2.2));
    const low = Math.min(leftmost, edge), high = Math.max(0.25, ...reals), y = Math.max(1.4, ...modes.map((m) => Math.abs(m.at[1])));
    return { x: (low + high) / 2, y: 0, w: 0.55 * (high - low), h: 1.05 * y };
  }

  /* ---- sliders ---- */
  const step = byId("step"), momentum = byId("momentum");
  const nearest = (list, x, distance) => list.reduce((best, v, i) => (distance(v, x) < distance(list[best], x) ? i : best), 0);
  const present = disc
    ? { step: nearest(data.table.steps, data.step_scale, (a, b) => Math.abs(Math.log(a / b))),
        momentum: nearest(data.table.momenta, data.momentum, (a, b) => Math.abs(a - b)) }
    : { step: Math.log2(data.step_scale), momentum: data.momentum };
  const stepAt = (value) => (disc ? data.table.steps[value] : 2 ** value);
  const momentumAt = (value) => (disc ? data.table.momenta[value] : value);
  const modesAt = (s, b) => (disc ? tableModes(s, b) : planeModes(2 ** s, b));
  const hasMomentum = disc ? data.table.momenta.length > 1 : data.rule !== "extragradient";

  function draw() {
    const s = +step.value, b = hasMomentum ? +momentum.value : present.momentum, factor = stepAt(s), value = momentumAt(b);
    const modes = modesAt(s, b);
    const running = disc
      ? Array.from({ length: 361 }, (_, i) => [Math.cos((i * Math.PI) / 180), Math.sin((i * Math.PI) / 180)])
      : boundary(value, data.rule);
    const curves = [{ name: disc ? "running unit-circle" : "running", points: running }].concat(
      data.outlines.map((o, i) => ({ name: `outline-${i}`, points: boundary(o.momentum, o.rule) })));
    const wide = window.matchMedia("(min-width: 44rem)").matches;
    const r = data.near ? snap(data.near * factor / data.step_scale, [1, 1.5, 2, 3, 5, 7, 10]) : 0;
    const edge = { x: disc ? 1 : 0, y: 0, w: r, h: r };
    // The disc's large picture is the edge of stability, the plane's the whole region.
    const aspect = { large: wide ? (disc ? 0.8 : 0.58) : 0.9, small: 0.95, alone: disc ? 0.8 : 0.75 };
    picture(byId("view-whole"), !data.near ? aspect.alone : disc ? aspect.small : aspect.large, wholeView(modes, running), modes, curves,
      data.near && disc ? edge : null);
    if (data.near) picture(byId("view-near"), disc ? aspect.large : aspect.small, edge, modes, curves);
    const model = disc && !asMeasured(s, b) ? ` (reduced model, off by ${brief(data.model_gap, 2)} where it was measured)` : "";
    const text = sentence(modes, setting(factor, hasMomentum ? value : null) + model);
    byId("signature-says").textContent = text;
    byId("step-value").textContent = `${factor === 1 ? "1.0" : significant(factor)} ×`;
    byId("momentum-value").textContent = String(+value.toFixed(2));
    step.setAttribute("aria-valuetext", `${significant(factor)} times the step`);
    momentum.setAttribute("aria-valuetext", String(+value.toFixed(2)));
    strip(step, (x) => modesAt(x, b));
    if (hasMomentum) strip(momentum, (x) => modesAt(s, x));
  }

  /* Above a slider: hatched where at least one mode grows. */
  function strip(input, modesOf) {
    const svg = byId(`${input.id}-strip`), W = Math.max(17, svg.clientWidth), low = +input.min, high = +input.max;
    const count = disc ? high + 1 : 100;
    svg.setAttribute("viewBox", `0 0 ${W} 10`);
    const hatch = element("pattern", { id: `${input.id}-hatch`, width: 5, height: 5, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)" });
    hatch.append(element("path", { d: "M0 0V5", style: "stroke: var(--grow); stroke-width: 3.2" }));
    svg.replaceChildren(hatch, element("path", { class: "axis", d: `M8 9H${W - 8}` }));
    const cell = (W - 16) / Math.max(1, count - 1);
    for (let i = 0; i < count; i++)
      if (modesOf(low + ((high - low) * i) / (count - 1)).some((m) => m.state === "grows")) {
        const from = Math.max(8, 8 + (i - 0.5) * cell), to = Math.min(W - 8, 8 + (i + 0.5) * cell);
        svg.append(element("rect", { x: from, y: 1, width: to - from + 0.3, height: 8, fill: `url(#${input.id}-hatch)` }));
      }
  }

  function set(input, low, high, by, value) {
    Object.assign(input, { min: low, max: high, step: by });
    input.value = value;
    input.addEventListener("input", draw);
  }
  set(step, disc ? 0 : -4, disc ? data.table.steps.length - 1 : 4, disc ? 1 : 0.05, present.step);
  set(momentum, 0, disc ? data.table.momenta.length - 1 : 0.99, disc ? 1 : 0.01, present.momentum);
  byId("momentum-control").hidden = !hasMomentum;
  byId("reset").addEventListener("click", () => {
    step.value = present.step;
    momentum.value = present.momentum;
    draw();
  });
  byId("signature-static").hidden = true;
  byId("signature-live").hidden = false;
  new ResizeObserver(draw).observe(byId("signature-live"));
  draw();
  return { multiplier, boundary, modesAt, discMode, turning, sentence, setting };
})();
