// Draws charts of the page's data, with their controls and tables.
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  data.facets ??= [];
  const columns = new Map(data.columns.map(c => [c.key, c]));
  const col = key => columns.get(key);
  const reasons = data.reason ? col(data.reason) : null;
  const whyOf = i => reasons ? reasons.words[reasons.at[i]] : "";

  // Values and how to show them.
  const value = (c, i) => c.words ? c.words[c.at[i]] : c.numbers[i];
  const missing = x => x === null || x === undefined || x === "";
  const digits = x => {
    const a = Math.abs(x);
    if (a === 0) return "0";
    if (a >= 1e5 || a < 1e-3) return String(Number(x.toPrecision(3)));
    return a >= 1000 ? String(Math.round(x)) : String(Number(x.toPrecision(3)));
  };
  const scaled = (x, step, units) => {
    let i = 0;
    while (Math.abs(x) >= step && i < units.length - 1) { x /= step; i++; }
    return digits(x) + " " + units[i];
  };
  const formats = {
    "B": x => scaled(x, 1024, ["B", "KiB", "MiB", "GiB", "TiB", "PiB"]),
    "us": x => Math.abs(x) >= 1 ? scaled(x, 1000, ["us", "ms", "s", "ks"]) : digits(x * 1000) + " ns",
    "GB/s": x => digits(x) + " GB/s",
    "x": x => digits(x) + "×",
    "%": x => x > 0 && x < .1 ? "under 0.1%" : Number(x < 9.95 ? x.toPrecision(2) : x.toFixed(0)) + "%",
    "1": x => Number.isInteger(x) ? x.toLocaleString("en") : digits(x),
  };
  const show = (c, x) => missing(x) ? "–" : (formats[c.unit] || String)(x);
  const text = (c, i) => show(c, value(c, i));
  const commandOf = i => data.commands ? data.commands.at[i].map(n => data.commands.words[n]).join(" ").replaceAll(" \n ", "\n") : "";
  const wordsOf = i => data.commands.at[i].flatMap((n, k) => {
    const w = data.commands.words[n];
    return [k && w !== "\n" ? " " : "", make("span", { className: w.length <= 36 && w !== "\n" ? "w" : "" }, w)];
  });
  const count = n => n.toLocaleString("en") + " " + (n === 1 ? data.one : data.many);

  // Building the page.
  const make = (tag, props, ...children) => {
    const e = document.createElement(tag);
    for (const [name, v] of Object.entries(props || {})) {
      if (name in e && name !== "list") e[name] = v; else e.setAttribute(name, v);
    }
    e.append(...children);
    return e;
  };
  const style = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const colours = 8;

  // Marks differ in both shape and color. Each function adds the outline of its mark to a
  // path.
  const shapes = [
    (p, x, y, r) => { p.moveTo(x + r, y); p.arc(x, y, r, 0, 2 * Math.PI); },
    (p, x, y, r) => { r *= .88; p.rect(x - r, y - r, 2 * r, 2 * r); },
    (p, x, y, r) => { r *= 1.2; p.moveTo(x, y - r); p.lineTo(x + r, y + .8 * r); p.lineTo(x - r, y + .8 * r); p.closePath(); },
    (p, x, y, r) => { r *= 1.25; p.moveTo(x, y - r); p.lineTo(x + r, y); p.lineTo(x, y + r); p.lineTo(x - r, y); p.closePath(); },
    (p, x, y, r) => { r *= 1.2; p.moveTo(x, y + r); p.lineTo(x + r, y - .8 * r); p.lineTo(x - r, y - .8 * r); p.closePath(); },
    (p, x, y, r) => { const w = r * .38; r *= 1.15; p.rect(x - w, y - r, 2 * w, 2 * r); p.rect(x - r, y - w, 2 * r, 2 * w); },
    (p, x, y, r) => { r *= 1.1; for (let k = 0; k < 6; k++) p[k ? "lineTo" : "moveTo"](x + r * Math.cos(k * Math.PI / 3), y + r * Math.sin(k * Math.PI / 3)); p.closePath(); },
    (p, x, y, r) => { r *= 1.3; for (let k = 0; k < 10; k++) { const q = k % 2 ? r * .45 : r; p[k ? "lineTo" : "moveTo"](x + q * Math.sin(k * Math.PI / 5), y - q * Math.cos(k * Math.PI / 5)); } p.closePath(); },
  ];
  const cross = (p, x, y, r) => { p.moveTo(x - r, y - r); p.lineTo(x + r, y + r); p.moveTo(x + r, y - r); p.lineTo(x - r, y + r); };
  const arrow = down => (p, x, y, r) => {
    const d = down ? -1 : 1;
    p.moveTo(x, y - d * r); p.lineTo(x + r, y + d * r); p.lineTo(x - r, y + d * r); p.closePath();
  };
  const dashes = [[], [7, 4], [2, 3], [9, 3, 2, 3]];

  // paint draws marks. The kind is "filled" for the first measure, "hollow" for the others,
  // and "bad" for points that are not trusted. Faint marks are those behind a line.
  const paint = (ctx, path, kind, colour, ratio, faint) => {
    ctx.save();
    ctx.lineWidth = (kind === "bad" ? 2 : 1.6) * ratio;
    ctx.strokeStyle = ctx.fillStyle = colour;
    if (faint) ctx.globalAlpha = .45;
    if (kind === "filled") { if (!faint) ctx.globalAlpha = .82; ctx.fill(path); } else { ctx.stroke(path); }
    ctx.restore();
  };

  // The reader's selection.
  const chosen = new Map();
  let mark = data.mark;
  let rows = [];
  const filter = () => {
    const tests = [...chosen].map(([key, v]) => {
      const c = col(key);
      return c.words ? (n => i => c.at[i] === n)(c.words.indexOf(v)) : i => String(c.numbers[i]) === v;
    });
    rows = [];
    for (let i = 0; i < data.rows; i++) if (tests.every(t => t(i))) rows.push(i);
  };
  const valuesOf = key => {
    const c = col(key);
    if (c.words) return c.words.map(w => [w, w === "" ? "–" : w]);
    return [...new Set(c.numbers)].filter(x => x !== null).sort((a, b) => a - b).map(x => [String(x), show(c, x)]);
  };
  // groups returns the names of the marked groups and a function that maps points to groups.
  // If there are more values than marks, the last group contains all remaining values.
  const groups = () => {
    if (!mark) return { names: [""], of: () => 0, at: () => 0 };
    const c = col(mark), of = i => c.words ? c.words[c.at[i]] : String(c.numbers[i]);
    const names = valuesOf(mark).filter(([v]) => !chosen.has(mark) || chosen.get(mark) === v);
    const at = new Map(names.map(([v], n) => [v, Math.min(n, colours - 1)]));
    const labels = names.slice(0, names.length > colours ? colours - 1 : colours).map(n => c.words ? n[1] : c.label + " " + n[1]);
    if (names.length > colours) labels.push("others");
    return { names: labels, of: i => at.get(of(i)) ?? 0, at: v => at.get(v) };
  };

  // Axes.
  const range = (lo, hi, log) => {
    if (log) {
      const pad = Math.max(Math.log10(hi / lo) * .06, .1);
      return [lo / 10 ** pad, hi * 10 ** pad];
    }
    const pad = (hi - lo) * .06 || Math.abs(hi) * .1 || 1;
    return [lo >= 0 ? Math.max(0, lo - pad) : lo - pad, hi + pad];
  };
  const thin = (ticks, most) => {
    const step = Math.ceil(ticks.length / Math.max(2, most));
    return ticks.filter((_, i) => i % step === 0);
  };
  const ticks = (c, lo, hi, log, most) => {
    let list = [];
    if (log && hi / lo < 8) log = false;
    if (log && (c.unit === "B" || c.unit === "1")) {
      for (let e = Math.ceil(Math.log2(lo)); e <= Math.log2(hi); e++) list.push(2 ** e);
      list = list.filter(x => c.unit === "B" || x >= 1);
    } else if (log) {
      for (const steps of [[1, 2, 5], [1, 3], [1]]) {
        list = [];
        for (let e = Math.floor(Math.log10(lo)); e <= Math.log10(hi); e++) {
          for (const m of steps) list.push(Number((m * 10 ** e).toPrecision(1)));
        }
        list = list.filter(x => x >= lo && x <= hi);
        if (list.length <= most) break;
      }
    } else {
      const base = c.unit === "B" ? 2 : 10;
      const raw = (hi - lo) / Math.max(2, most);
      let step = base ** Math.floor(Math.log(raw) / Math.log(base));
      if (base === 10) step *= [1, 2, 5, 10].find(m => m * step >= raw);
      else while (step < raw) step *= 2;
      if (c.unit === "1") step = Math.max(1, Math.round(step));
      for (let x = Math.ceil(lo / step) * step; x <= hi; x += step) list.push(Number(x.toPrecision(12)));
    }
    return thin(list.filter(x => x >= lo && x <= hi), most);
  };

  const median = xs => { xs.sort((a, b) => a - b); const n = xs.length; return (xs[(n - 1) >> 1] + xs[n >> 1]) / 2; };
  const option = (v, name) => make("option", { value: v }, name);

  class Chart {
    constructor(spec) {
      this.spec = spec;
      this.x = spec.x[0];
      this.kept = -1;
      this.at = -1;
      this.plotBox = make("div", { className: "plot" });
      this.legend = make("ul", { className: "legend" });
      this.readout = make("div", { className: "readout" });
      this.readout.setAttribute("aria-live", "polite");
      this.table = new Table(spec.title, spec.columns, spec.id, i => spec.y.some(key => !missing(col(key).numbers[i])));
      const left = make("div", { className: "left" }, this.plotBox, this.legend);
      this.section = make("section", { className: "chart", id: "chart-" + spec.id },
        make("h3", {}, spec.title), make("p", { className: "note" }, spec.note));
      if (spec.x.length > 1) this.section.append(this.picker());
      if (spec.split) this.section.append(this.picks = make("div", { className: "picks" }));
      if (spec.split) {
        this.section.append(left);
      } else {
        this.section.append(make("div", { className: "body" }, left, this.readout));
        this.keys();
      }
      this.section.append(this.table.element);
    }

    // picker returns the control that selects the horizontal axis.
    picker() {
      const select = make("select", { className: "axis" }, ...this.spec.x.map(key => make("option", { value: key }, col(key).label)));
      select.addEventListener("change", () => { this.x = select.value; this.keep(-1); this.draw(); });
      return make("label", { className: "pick" }, "Horizontal axis", select);
    }

    // points returns a point for each row and measure that the chart can show.
    points() {
      const { spec } = this, x = col(this.x), list = [];
      spec.y.forEach((key, measure) => {
        const y = col(key);
        for (const i of rows) {
          const a = value(x, i), b = y.numbers[i];
          if (spec.trusted && whyOf(i)) continue;
          if (missing(a) || missing(b) || (this.log(x) && !(a > 0)) || (y.log && !(b > 0))) continue;
          list.push({ i, measure, x: a, y: b });
        }
      });
      return list;
    }

    log(c) { return Boolean(c.log) && !c.words; }

    update() {
      this.keep(-1);
      this.table.fill();
      this.draw();
    }

    draw() {
      if (this.spec.split) this.bars(); else this.plot();
    }

    plot() {
      const { spec } = this, x = col(this.x), points = this.points(), grouped = groups();
      if (this.u) { this.u.destroy(); this.u = null; }
      this.plotBox.replaceChildren();
      this.legend.replaceChildren();
      this.list = points;
      if (!points.length) {
        this.plotBox.append(make("p", { className: "hint" }, "No " + (reasons ? "trusted " : "") + data.one + " in this selection has values for this chart."));
        this.plotBox.removeAttribute("tabindex");
        this.plotBox.setAttribute("aria-label", spec.title + ": no data");
        return;
      }
      const lines = spec.lines || [];
      const curves = (spec.curves || []).filter(c => (!c.x0 || c.x0 === this.x) && Object.entries(c.where || {}).every(([k, v]) => !chosen.has(k) || chosen.get(k) === v));
      // The axes cover the points and lines. Text values are placed in the order in which
      // they occur.
      const words = x.words ? [...new Set(points.map(p => p.x))] : null;
      const place = words ? new Map(words.map((w, n) => [w, n])) : null;
      const px = p => place ? place.get(p.x) : p.x;
      let [x0, x1, y0, y1] = [Infinity, -Infinity, Infinity, -Infinity];
      const trusted = points.some(p => !whyOf(p.i));
      for (const p of points) {
        const v = px(p);
        if (v < x0) x0 = v;
        if (v > x1) x1 = v;
        if (trusted && whyOf(p.i)) continue;
        if (p.y < y0) y0 = p.y;
        if (p.y > y1) y1 = p.y;
      }
      for (const l of lines) { y0 = Math.min(y0, l.value); y1 = Math.max(y1, l.value); }
      const logX = this.log(x), logY = spec.y.some(key => this.log(col(key)));
      const xr = words ? [-.6, words.length - .4] : range(x0, x1, logX), yr = range(y0, y1, logY);
      // Points that are not trusted do not stretch the scale, so they may be drawn at its edge.
      const outside = [];
      for (const p of points) {
        p.at = Math.min(yr[1], Math.max(yr[0], p.y));
        if (p.at !== p.y) outside.push(p.y);
      }
      const first = col(spec.y[0]), width = this.width(), narrow = width < 480;
      const series = [], lists = [];
      const add = (kind, group, measure) => {
        const own = points.filter(p => p.measure === measure && (whyOf(p.i) !== "" ? kind === "bad" : kind !== "bad" && grouped.of(p.i) === group));
        if (!own.length) return;
        const { paths, heavy } = kind === "bad" || words ? { paths: [] } : this.lines(own, curves);
        lists.push([own.map(px), own.map(p => p.at)]);
        series.push({ kind, group, measure, paths, heavy, own, n: own.length });
      };
      spec.y.forEach((_, m) => {
        grouped.names.forEach((_, g) => add(m ? "hollow" : "filled", g, m));
        add("bad", 0, m);
      });
      const radius = points.length > 3000 ? 2.6 : points.length > 500 ? 3.4 : 4.6;
      const colourOf = s => style(s.kind === "bad" ? "--bad" : mark ? `--c${s.group + 1}` : `--c${s.measure + 1}`);
      const shapeOf = s => s.kind === "bad" ? cross : shapes[mark ? s.group : s.measure];
      const path = own => u => {
        const p = new Path2D(), shape = shapeOf(own), ratio = uPlot.pxRatio, r = radius * ratio;
        if (!own.heavy) this.join(u, own.paths, colourOf(own), own.kind === "hollow");
        for (const q of own.own) {
          const x = u.valToPos(px(q), "x", true), y = u.valToPos(q.at, "y", true);
          if (q.at === q.y) shape(p, x, y, r); else arrow(q.y < q.at)(p, x, y + (q.y < q.at ? -1.5 : 1.5) * r, r);
        }
        u.ctx.save();
        u.ctx.beginPath();
        const edge = 6 * ratio;
        u.ctx.rect(u.bbox.left - edge, u.bbox.top - edge, u.bbox.width + 2 * edge, u.bbox.height + 2 * edge);
        u.ctx.clip();
        paint(u.ctx, p, own.kind, colourOf(own), ratio, own.kind !== "bad" && (own.heavy || curves.some(c => c.where) && own.n > 100));
        u.ctx.restore();
        return null;
      };
      const curveColour = c => {
        const g = mark && c.where ? grouped.at(c.where[mark]) : undefined;
        return g === undefined ? "--soft" : `--c${g + 1}`;
      };
      const axis = { stroke: style("--soft"), labelGap: 5, grid: { stroke: style("--grid"), width: 1 }, ticks: { show: false }, font: "12px system-ui, sans-serif", labelFont: "12px system-ui, sans-serif" };
      const heightOf = narrow ? 300 : 360;
      const fx = v => words ? String(words[v] ?? "") : show(x, v);
      this.u = new uPlot({
        mode: 2, width, height: heightOf, legend: { show: false }, cursor: { show: false }, padding: [14, 16, 0, 0],
        scales: {
          x: { time: false, distr: logX ? 3 : 1, auto: false, range: () => xr },
          y: { distr: logY ? 3 : 1, auto: false, range: () => yr },
        },
        axes: [
          Object.assign({ label: x.label, labelSize: 22, size: 34, filter: (_, s) => s, values: (_, s) => s.map(fx),
            splits: () => words ? thin(words.map((_, n) => n), width / 110) : x0 === x1 ? [x0] : ticks(x, xr[0], xr[1], logX, width / (narrow ? 85 : 72)) }, axis),
          Object.assign({ label: spec.label || first.label, labelSize: 22, size: narrow ? 60 : 70, filter: (_, s) => s, values: (_, s) => s.map(v => show(first, v)),
            splits: () => ticks(first, yr[0], yr[1], logY, 9) }, axis),
        ],
        series: [null, ...series.map(s => ({ paths: path(s), facets: [{ scale: "x", auto: false }, { scale: "y", auto: false }] }))],
        hooks: {
          drawClear: [u => { this.drawLines(u, lines); this.drawLabels(u, lines); }],
          draw: [u => this.drawHeavy(u, series, colourOf, curves, curveColour)],
          ready: [u => this.placed(u, px)],
        },
      }, [null, ...lists], this.plotBox);
      this.ring = make("div", { className: "ring", hidden: true });
      this.u.over.append(this.ring);
      this.u.over.addEventListener("mousemove", e => this.hover(e));
      this.u.over.addEventListener("mouseleave", () => { if (this.kept < 0) this.clear(); });
      this.u.over.addEventListener("click", e => { this.kept = -1; this.hover(e); this.keep(this.at); });
      this.plotBox.tabIndex = 0;
      this.plotBox.setAttribute("role", "application");
      this.plotBox.setAttribute("aria-label", `${spec.title}: chart of ${count(new Set(points.map(p => p.i)).size)}. ` +
        "Press the left and right arrow keys to move between points, Enter to pin a point, and Escape to unpin it. The table below shows the same values.");
      this.drawLegend(series, grouped, lines, curves, colourOf, shapeOf, curveColour);
      if (outside.length) {
        const up = Math.max(...outside), far = up > yr[1] ? "▲ up to " + show(first, up) : "▼ down to " + show(first, Math.min(...outside));
        this.legend.append(make("li", { className: "hint" }, `${outside.length.toLocaleString("en")} not trusted and off the scale (${far})`));
      }
      if (this.at < 0) this.clear();
    }

    width() {
      if (document.documentElement.classList.contains("printing")) return 640;
      return Math.max(240, Math.floor(this.plotBox.getBoundingClientRect().width));
    }

    // paths returns the lists of points to join with lines. All points in a list have the
    // same facet values, except for the horizontal axis, where all their values differ.
    paths(points) {
      const keys = [...data.facets, ...(data.apart || [])].filter(key => key !== this.x && key !== data.status), lists = new Map();
      for (const p of points) {
        const id = keys.map(key => value(col(key), p.i)).join("\u0000");
        if (lists.has(id)) lists.get(id).push(p); else lists.set(id, [p]);
      }
      const all = [...lists.values()].filter(list => list.length > 1 && new Set(list.map(p => p.x)).size === list.length);
      return all.map(list => [...list].sort((a, b) => a.x - b.x));
    }

    // lines returns the lines to draw. They join the points or, if that takes too many lines,
    // the medians of the points. Lines that join medians are heavy. If there are fitted
    // curves, no medians are joined.
    lines(own, curves) {
      const { spec } = this;
      if (spec.join === "none") return { paths: [] };
      const by = spec.by && this.bins(spec.by);
      if (by) {
        const lists = by.map(() => []);
        for (const p of own) lists[by.findIndex(b => value(col(spec.by), p.i) <= b.hi)]?.push(p);
        return { heavy: true, paths: lists.map((list, n) => Object.assign(this.medians(list), { label: by[n].label })).filter(list => list.length) };
      }
      if (spec.join === "medians" && curves.some(c => c.where)) return { paths: [] };
      const paths = own.length > 2000 ? [] : this.paths(own); // that many points make too many lines
      if (spec.join !== "medians") return { paths: paths.length > 24 ? [] : paths };
      if (paths.length && paths.length <= 4) return { paths };
      const list = this.medians(own);
      return list.length > 1 ? { heavy: true, paths: [list] } : { paths: [] };
    }

    // medians returns the median point for each horizontal position.
    medians(points) {
      const at = new Map();
      for (const p of points) if (at.has(p.x)) at.get(p.x).push(p.y); else at.set(p.x, [p.y]);
      return [...at].sort((a, b) => a[0] - b[0]).map(([x, ys]) => ({ x, at: median(ys) }));
    }

    // bins divides the values of a column into at most 4 ranges, or returns null if there is
    // only one value.
    bins(key) {
      const c = col(key), all = [...new Set(rows.map(i => c.numbers[i]))].filter(v => !missing(v)).sort((a, b) => a - b);
      if (all.length < 2) return null;
      const size = Math.ceil(all.length / 4), list = [];
      for (let n = 0; n < all.length; n += size) {
        const lo = all[n], hi = all[Math.min(n + size, all.length) - 1];
        list.push({ lo, hi, label: show(c, lo) + (hi > lo ? " to " + show(c, hi) : "") });
      }
      return list;
    }

    join(u, paths, colour, dashed) {
      const { ctx } = u, ratio = uPlot.pxRatio;
      ctx.save();
      ctx.globalAlpha = .6;
      ctx.lineWidth = 1.5 * ratio;
      ctx.strokeStyle = colour;
      if (dashed) ctx.setLineDash([5 * ratio, 4 * ratio]);
      for (const list of paths) {
        ctx.beginPath();
        list.forEach((p, i) => ctx[i ? "lineTo" : "moveTo"](u.valToPos(p.x, "x", true), u.valToPos(p.at, "y", true)));
        ctx.stroke();
      }
      ctx.restore();
    }

    drawLines(u, lines) {
      const { ctx, bbox } = u, ratio = uPlot.pxRatio;
      ctx.save();
      ctx.beginPath();
      ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
      ctx.clip();
      ctx.lineWidth = 1.8 * ratio;
      lines.forEach((l, n) => {
        ctx.setLineDash(dashes[1 + n % 3].map(d => d * ratio));
        ctx.strokeStyle = style("--text");
        const y = Math.round(u.valToPos(l.value, "y", true));
        ctx.beginPath();
        ctx.moveTo(bbox.left, y);
        ctx.lineTo(bbox.left + bbox.width, y);
        ctx.stroke();
      });
      ctx.restore();
    }

    // drawHeavy draws the lines of medians and the curves on top of the points, with an
    // outline that makes them stand out from the points.
    drawHeavy(u, series, colourOf, curves, curveColour) {
      const { ctx, bbox } = u, ratio = uPlot.pxRatio, texts = [];
      ctx.save();
      ctx.beginPath();
      ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
      ctx.clip();
      ctx.lineJoin = "round";
      const line = (points, dash, colour) => {
        ctx.beginPath();
        points.forEach(([x, y], i) => ctx[i ? "lineTo" : "moveTo"](u.valToPos(x, "x", true), u.valToPos(y, "y", true)));
        ctx.setLineDash([]);
        ctx.lineWidth = 3.8 * ratio;
        ctx.strokeStyle = style("--card");
        ctx.stroke();
        ctx.setLineDash(dash.map(d => d * ratio));
        ctx.lineWidth = 2 * ratio;
        ctx.strokeStyle = colour;
        ctx.stroke();
      };
      for (const s of series) {
        if (!s.heavy) continue;
        for (const list of s.paths) {
          line(list.map(p => [p.x, p.at]), dashes[s.measure % 4], colourOf(s));
          const first = list[0];
          if (list.label) texts.push([list.label, u.valToPos(first.x, "x", true), u.valToPos(first.at, "y", true), colourOf(s)]);
        }
      }
      curves.forEach((c, n) => line(c.x.map((v, i) => [v, c.y[i]]), dashes[n % 4], style(curveColour(c))));
      ctx.setLineDash([]);
      ctx.font = `600 ${11 * ratio}px system-ui, sans-serif`;
      ctx.textAlign = "left";
      ctx.textBaseline = "bottom";
      ctx.lineWidth = 6 * ratio;
      ctx.strokeStyle = style("--card");
      const used = [];
      for (const [text, x, y, colour] of texts.sort((a, b) => a[2] - b[2])) {
        const at = Math.max(y - 3 * ratio, bbox.top + 14 * ratio);
        if (used.some(v => Math.abs(v - at) < 13 * ratio)) continue;
        used.push(at);
        ctx.strokeText(text, x + 8 * ratio, at);
        ctx.fillStyle = colour;
        ctx.fillText(text, x + 8 * ratio, at);
      }
      ctx.restore();
    }

    // drawLabels writes the label of each line above or below its right end, behind the points.
    drawLabels(u, lines) {
      const { ctx, bbox } = u, ratio = uPlot.pxRatio;
      ctx.save();
      ctx.font = `600 ${12 * ratio}px system-ui, sans-serif`;
      ctx.textBaseline = "bottom";
      ctx.textAlign = "right";
      for (const l of lines) {
        const y = u.valToPos(l.value, "y", true);
        ctx.fillStyle = style("--text");
        // If there is no room above the line, the label is below it.
        const above = y - 3 * ratio, room = above - 12 * ratio >= bbox.top;
        ctx.fillText(l.label, bbox.left + bbox.width - 4 * ratio, room ? above : y + 16 * ratio);
      }
      ctx.restore();
    }

    drawLegend(series, grouped, lines, curves, colourOf, shapeOf, curveColour) {
      const sample = draw => {
        const ratio = window.devicePixelRatio || 1, c = make("canvas", { width: 26 * ratio, height: 16 * ratio });
        c.style.width = "26px";
        c.style.height = "16px";
        c.setAttribute("aria-hidden", "true");
        draw(c.getContext("2d"), ratio);
        return c;
      };
      for (const s of series) {
        const measure = this.spec.y.length > 1 ? col(this.spec.y[s.measure]).label : "";
        const name = s.kind === "bad" ? "not trusted" : grouped.names[s.group];
        const label = [name, measure].filter(Boolean).join(", ");
        if (!label) continue;
        this.legend.append(make("li", {}, sample((ctx, ratio) => {
          const p = new Path2D();
          shapeOf(s)(p, 13 * ratio, 8 * ratio, 5 * ratio);
          paint(ctx, p, s.kind, colourOf(s), ratio);
        }), `${label} (${s.n.toLocaleString("en")})`));
      }
      const dash = (name, pattern, colour) => this.legend.append(make("li", {}, sample((ctx, ratio) => {
        ctx.setLineDash(pattern.map(d => d * ratio));
        ctx.lineWidth = 1.8 * ratio;
        ctx.strokeStyle = style(colour);
        ctx.moveTo(0, 8 * ratio);
        ctx.lineTo(26 * ratio, 8 * ratio);
        ctx.stroke();
      }), name));
      lines.forEach((l, n) => dash(l.label, dashes[1 + n % 3], "--text"));
      curves.forEach((c, n) => dash(c.label, dashes[n % 4], curveColour(c)));
      if (series.some(s => s.heavy)) this.legend.append(make("li", { className: "hint" }, this.spec.by ? `lines: medians by ${col(this.spec.by).label}` : "lines: medians"));
    }

    // placed computes the positions of the points, which the pointer and the keyboard select.
    // It runs when the scales of the chart are known.
    placed(u, px) {
      for (const p of this.list) {
        p.left = u.valToPos(px(p), "x");
        p.top = u.valToPos(p.at, "y");
      }
      this.list.sort((a, b) => a.left - b.left || b.top - a.top);
      if (this.at >= 0) { // redrawn, for example after the color scheme changed
        this.go(this.at);
        this.ring.classList.toggle("kept", this.kept >= 0);
      }
    }

    hover(e) {
      if (this.kept >= 0) return;
      const box = this.u.over.getBoundingClientRect(), x = e.clientX - box.left, y = e.clientY - box.top;
      let best = 40 * 40, at = -1;
      for (let n = 0; n < this.list.length; n++) {
        const p = this.list[n], d = (p.left - x) ** 2 + (p.top - y) ** 2;
        if (d < best) { best = d; at = n; }
      }
      if (at !== this.at) this.go(at);
    }

    go(at) {
      this.at = at;
      const p = this.list[at];
      if (!p) { this.clear(); return; }
      this.ring.hidden = false;
      this.ring.style.left = p.left + "px";
      this.ring.style.top = p.top + "px";
      this.tell(p);
    }

    keep(at) {
      this.kept = at;
      if (this.ring) this.ring.classList.toggle("kept", at >= 0);
      this.readout.classList.toggle("kept", at >= 0);
      if (at < 0) this.at = -1;
    }

    clear() {
      this.at = -1;
      if (this.ring) this.ring.hidden = true;
      this.readout.replaceChildren();
    }

    tell(p) {
      const y = col(this.spec.y[p.measure]), why = whyOf(p.i);
      const list = make("dl", {});
      for (const key of this.spec.columns) {
        const c = col(key), v = value(c, p.i);
        if (!missing(v) && key !== data.reason && key !== this.spec.y[p.measure]) list.append(make("dt", {}, c.label), make("dd", {}, show(c, v)));
      }
      this.readout.replaceChildren(make("h4", {}, `${this.spec.y.length > 1 ? y.label + ": " : ""}${show(y, p.y)}`), list);
      // The values appear in the half of the chart that does not contain the mark.
      const right = p.left > this.u.over.clientWidth / 2;
      this.readout.style.left = right ? "5.5rem" : "auto";
      this.readout.style.right = right ? "auto" : ".5rem";
      if (why) this.readout.append(make("p", { className: "why" }, "× Not trusted: " + why));
      const command = commandOf(p.i);
      if (command) {
        this.readout.append(make("div", { className: "command" }, make("pre", {}, make("code", {}, ...wordsOf(p.i))),
          make("button", { type: "button", className: "copy" }, "Copy command")));
      }
    }

    keys() {
      this.plotBox.addEventListener("keydown", e => {
        const n = this.list ? this.list.length : 0;
        if (!n) return;
        const jump = Math.max(1, Math.round(n / 10)), from = this.at;
        const to = { ArrowRight: from + 1, ArrowLeft: from < 0 ? n - 1 : from - 1, PageDown: from + jump, PageUp: from - jump, Home: 0, End: n - 1 }[e.key];
        if (to !== undefined) {
          this.keep(-1);
          this.go(Math.min(n - 1, Math.max(0, to)));
        } else if (e.key === "Enter" || e.key === " ") {
          if (from < 0) return;
          this.keep(from);
          this.at = from;
        } else if (e.key === "Escape") {
          this.keep(-1);
          this.clear();
        } else {
          return;
        }
        e.preventDefault();
      });
    }

    // bars draws one bar for each value of x. All bars have the same group and the same value
    // in the fixed column; the reader can choose both. Each bar shows the point with the
    // median time.
    bars() {
      const { spec } = this, x = col(this.x), parts = spec.y.map(col), side = spec.side && col(spec.side), fixed = col(spec.fixed);
      const sum = i => parts.reduce((a, c) => a + c.numbers[i], 0);
      let own = [...rows].filter(i => !whyOf(i) && !missing(value(x, i)) && !parts.some(c => missing(c.numbers[i])) && sum(i) > 0);
      const groupOf = i => (spec.group || []).map(key => (col(key).words && !/^(|true|false)$/.test(value(col(key), i)) ? "" : col(key).label + " ") + text(col(key), i)).join(", ");
      const picks = [];
      const pick = (label, name, of, shown) => {
        const all = [...new Set(own.map(of))].sort((a, b) => a < b ? -1 : 1);
        if (!all.length) return;
        const start = of(spec.start || 0);
        const now = all.includes(this[name]) ? this[name] : all.includes(start) ? start : all[0];
        own = own.filter(i => of(i) === now);
        if (all.length < 2) return;
        const select = make("select", { name }, ...all.map(v => option(String(v), shown(v))));
        select.value = String(now);
        select.addEventListener("change", () => {
          this[name] = all[select.selectedIndex];
          this.bars();
          this.picks.querySelector(`select[name=${name}]`).focus();
        });
        picks.push(make("label", { className: "pick" }, label, select));
      };
      pick("Show", "group", groupOf, v => v);
      pick(fixed.label, "fixed", i => value(fixed, i), v => show(fixed, v));
      this.picks.replaceChildren(...picks);
      const sizes = new Map();
      for (const i of own) if (sizes.has(x.numbers[i])) sizes.get(x.numbers[i]).push(i); else sizes.set(x.numbers[i], [i]);
      const box = make("div", { className: "bars", role: "list" });
      for (const [v, list] of [...sizes].sort((a, b) => a[0] - b[0]).slice(0, 40)) {
        const i = list.sort((a, b) => sum(a) - sum(b))[(list.length - 1) >> 1], all = sum(i);
        const words = parts.map(c => `${c.label} ${text(c, i)} (${formats["%"](100 * c.numbers[i] / all)})`);
        if (side && !missing(side.numbers[i])) words.push(`prepared in ${text(side, i)}`);
        const bar = make("div", { className: "bar", "aria-hidden": "true" });
        parts.forEach((c, n) => {
          const part = make("div", { className: "part p" + (n % 4 + 1) });
          part.style.flex = `${c.numbers[i] / all} 1 0px`;
          bar.append(part);
        });
        const row = make("div", { className: "bar-row", role: "listitem" }, make("span", { className: "r" }, show(x, v)), bar, make("span", { className: "r" }, show(parts[0], all)),
          make("p", { className: "parts" }, words.join(" · ")));
        box.append(row);
      }
      const some = box.childElementCount > 0;
      this.plotBox.replaceChildren(some ? box : make("p", { className: "hint" }, "No " + (reasons ? "trusted " : "") + data.one + " in this selection has values for this chart."));
      this.legend.replaceChildren(...(some ? parts.map((c, n) => make("li", {}, make("span", { className: "swatch p" + (n % 4 + 1) }), c.label)) : []));
    }
  }

  // Table is the table below a chart, with a button to download its data.
  class Table {
    constructor(title, keys, id, has) {
      this.has = has;
      this.title = title;
      this.keys = keys;
      this.id = id;
      this.sort = null;
      this.most = 100;
      this.head = make("tr", {});
      this.rows = make("tbody", {});
      this.caption = make("caption", {});
      this.note = make("p", { className: "cap" });
      this.note.setAttribute("aria-hidden", "true");
      this.box = make("div", { className: "scroll tall", tabIndex: 0, role: "region" }, make("table", {}, this.caption, make("thead", {}, this.head), this.rows));
      this.box.setAttribute("aria-label", title + ", table");
      this.more = make("button", { type: "button" }, "Show more rows");
      this.more.addEventListener("click", () => { this.most += 500; this.render(); });
      this.summary = make("summary", {}, "Table");
      this.details = make("details", {}, this.summary, this.note, this.box, this.more);
      this.details.addEventListener("toggle", () => this.render());
      const save = make("button", { type: "button", className: "download" }, "Download CSV");
      save.addEventListener("click", () => this.download());
      this.element = make("div", { className: "below" }, make("div", { className: "tools" }, save), this.details);
    }

    fill() {
      this.most = 100;
      this.list = rows.filter(this.has);
      this.summary.textContent = `Table: ${count(this.list.length)}`;
      this.render();
    }

    ordered() {
      if (!this.sort) return this.list;
      const c = col(this.sort.key), sign = this.sort.down ? -1 : 1;
      return [...this.list].sort((a, b) => {
        const x = value(c, a), y = value(c, b);
        if (missing(x) || missing(y)) return missing(x) - missing(y);
        return sign * (x < y ? -1 : x > y ? 1 : 0);
      });
    }

    render() {
      if (!this.details.open) return;
      const numeric = c => !c.words;
      this.head.replaceChildren(...this.keys.map(key => {
        const c = col(key), button = make("button", { type: "button" }, c.label);
        const th = make("th", { scope: "col", className: numeric(c) ? "n" : "" }, button);
        if (this.sort && this.sort.key === key) {
          th.setAttribute("aria-sort", this.sort.down ? "descending" : "ascending");
          button.textContent += this.sort.down ? " ▼" : " ▲";
        }
        button.addEventListener("click", () => {
          const same = this.sort && this.sort.key === key;
          this.sort = { key, down: same ? !this.sort.down : numeric(c) };
          this.render();
          this.head.children[this.keys.indexOf(key)].firstChild.focus();
        });
        return th;
      }));
      const list = this.ordered(), shown = list.slice(0, this.most);
      this.caption.textContent = `${this.title}: ${shown.length < list.length ? `the first ${shown.length.toLocaleString("en")} of ` : ""}${count(list.length)}. Click a heading to sort by that column.`;
      this.note.textContent = this.caption.textContent;
      this.rows.replaceChildren(...shown.map(i => make("tr", { className: whyOf(i) ? "bad" : "" },
        ...this.keys.map(key => make("td", { className: numeric(col(key)) ? "n" : key === data.reason ? "wrap" : "" }, text(col(key), i))))));
      this.more.hidden = shown.length === list.length;
    }

    // download saves all rows of the selection, with unformatted numbers.
    download() {
      const cells = i => this.keys.map(key => { const v = value(col(key), i); return missing(v) ? "" : String(v); });
      const head = this.keys.map(key => { const c = col(key); return c.unit && c.unit !== "1" ? `${c.label} (${c.unit})` : c.label; });
      const lines = [data.commands ? [...head, "command"] : head, ...this.ordered().map(i => data.commands ? [...cells(i), commandOf(i)] : cells(i))];
      saveText(`${data.name}-${this.id}`, lines);
    }
  }

  // The controls.
  const form = document.getElementById("filters"), status = document.getElementById("shown");
  const selects = [];
  for (const key of data.facets) {
    const select = make("select", { name: key }, make("option", { value: "" }, "all"), ...valuesOf(key).map(([v, name]) => make("option", { value: v + "\u0000" }, name)));
    select.addEventListener("change", () => {
      if (select.value === "") chosen.delete(key); else chosen.set(key, select.value.slice(0, -1));
      update();
    });
    selects.push(select);
    form.append(make("label", {}, key === data.status ? "status" : col(key).label, select));
  }
  if (data.facets.length) {
    const select = make("select", { name: "mark" }, make("option", { value: "" }, "nothing"), ...data.facets.map(key => make("option", { value: key }, col(key).label)));
    select.value = mark;
    select.addEventListener("change", () => { mark = select.value; update(); });
    const reset = make("button", { type: "button" }, "Reset");
    reset.addEventListener("click", () => {
      chosen.clear();
      for (const s of selects) s.value = "";
      select.value = mark = data.mark;
      update();
    });
    form.append(make("label", {}, "mark by", select), reset);
  } else {
    form.hidden = true;
  }
  form.addEventListener("submit", e => e.preventDefault());

  const best = () => {
    if (!data.best) return "";
    const c = col(data.best);
    let at = -1;
    for (const i of rows) {
      if (!whyOf(i) && !missing(c.numbers[i]) && (at < 0 || (data.lowest ? c.numbers[i] < c.numbers[at] : c.numbers[i] > c.numbers[at]))) at = i;
    }
    if (at < 0) return " None of them has a trusted value.";
    const words = [...data.apart || [], ...data.facets].filter(key => key !== data.status).map(key => col(key).label + " " + text(col(key), at));
    const share = data.of ? ` (${formats["%"](100 * c.numbers[at] / data.of.value)} of ${data.of.label})` : "";
    return ` Fastest: ${show(c, c.numbers[at])}${share}${words.length ? ", " + words.join(", ") : ""}.`;
  };

  document.getElementById("explore").hidden = false;
  const charts = data.charts.map(spec => new Chart(spec));
  document.getElementById("charts").append(...charts.map(c => c.section));
  const update = () => {
    filter();
    const of = rows.length < data.rows ? ` of ${data.rows.toLocaleString("en")}` : "";
    status.textContent = `${rows.length.toLocaleString("en")}${of} ${data.rows === 1 ? data.one : data.many} shown.` + best();
    for (const c of charts) c.update();
  };
  update();

  const redraw = () => { for (const c of charts) c.draw(); };
  let wide = document.documentElement.clientWidth, wait = 0;
  window.addEventListener("resize", () => {
    if (document.documentElement.clientWidth === wide) return;
    wide = document.documentElement.clientWidth;
    clearTimeout(wait);
    wait = setTimeout(redraw, 100);
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  // Paper is white, whatever the color scheme of the screen.
  const printing = on => () => { document.documentElement.classList.toggle("printing", on); redraw(); };
  window.addEventListener("beforeprint", printing(true));
  window.addEventListener("afterprint", printing(false));
})();
