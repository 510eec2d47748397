"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const by = (id) => document.getElementById(id);
  const video = by("video"), canvas = by("picture"), split = by("split"), seek = by("seek");
  const pen = canvas.getContext("2d");
  const charts = [];
  canvas.width = data.width;
  canvas.height = data.height;

  // A file of the page's own: a data URI of megabytes cannot be sought everywhere.
  const bytes = Uint8Array.from(atob(by("clip").textContent.trim()), (c) => c.charCodeAt(0));
  video.src = URL.createObjectURL(new Blob([bytes], { type: "video/mp4" }));

  const words = (s) => `${Math.floor(s / 60)}:${(s % 60).toFixed(1).padStart(4, "0")}`;

  function draw() {
    const { width, height } = canvas;
    const x = Math.round((width * split.value) / 100);
    if (video.readyState >= 2) {
      if (x > 0) pen.drawImage(video, 0, 0, x, height, 0, 0, x, height);
      if (x < width) pen.drawImage(video, x, height, width - x, height, x, 0, width - x, height);
    }
    const now = video.currentTime + data.begin;
    if (video.duration) seek.value = video.currentTime / video.duration;
    by("clock").textContent = words(now);
    charts.forEach((chart) => chart.move(now));
  }

  // The thumb's middle must lie on the line, also at the ends.
  function place() {
    split.style.width = `${by("stage").clientWidth + 28}px`;
    split.style.left = "-14px";
    draw();
  }

  function go(time) {
    const limit = video.duration || data.duration;
    video.currentTime = Math.min(Math.max(time - data.begin, 0), Math.max(limit - 0.001, 0));
  }

  function toggle() {
    if (video.paused) video.play(); else video.pause();
  }

  function tick() {
    draw();
    if (!video.paused && !video.ended) {
      if (video.requestVideoFrameCallback) video.requestVideoFrameCallback(tick);
      else requestAnimationFrame(tick);
    }
  }

  video.addEventListener("play", () => { by("play").textContent = "Pause"; by("play").ariaLabel = "Pause"; tick(); });
  video.addEventListener("pause", () => { by("play").textContent = "Play"; by("play").ariaLabel = "Play"; draw(); });
  for (const name of ["seeked", "loadeddata", "timeupdate"]) video.addEventListener(name, draw);
  split.addEventListener("input", draw);
  seek.addEventListener("input", () => { if (video.duration) video.currentTime = seek.value * video.duration; });
  by("play").addEventListener("click", toggle);
  by("mute").hidden = !data.sound;
  by("mute").addEventListener("click", () => {
    video.muted = !video.muted;
    by("mute").ariaPressed = String(video.muted);
  });
  document.addEventListener("keydown", (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    const isRange = event.target.type === "range";
    const at = { b: 100, a: 0, m: 50 }[event.key.toLowerCase()];
    if (at !== undefined) { split.value = at; draw(); }
    else if (event.key === " " && event.target.tagName !== "BUTTON") { event.preventDefault(); toggle(); }
    else if (!isRange && event.key === "ArrowLeft") go(video.currentTime + data.begin - 0.1);
    else if (!isRange && event.key === "ArrowRight") go(video.currentTime + data.begin + 0.1);
  });
  document.querySelectorAll(".go").forEach((button) =>
    button.addEventListener("click", () => { go(Number(button.dataset.time)); by("stage").scrollIntoView(); }));

  function make(name, attributes, parent, text) {
    const element = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    if (text !== undefined) element.textContent = text;
    parent.append(element);
    return element;
  }

  function path(times, values, x, y) {
    let d = "", pen = "M";
    times.forEach((time, i) => {
      if (values[i] === null) { pen = "M"; return; }
      d += `${pen}${x(time).toFixed(1)} ${y(values[i]).toFixed(1)}`;
      pen = "L";
    });
    return d;
  }

  // series: [{ name, kind, times, values }]; kinds "source", "output", and "asked" for an area.
  function chart(id, label, read) {
    const figure = by(id);
    let line = null, x = null, end = data.begin + data.duration;
    function render() {
      const { series, high, low, percent } = read();
      const width = Math.max(figure.clientWidth - 20, 240), height = 170;
      const left = 40, right = 8, top = 8, bottom = 22;
      const first = Math.min(...series.flatMap((one) => one.times.slice(0, 1)), data.begin);
      end = first + data.duration;
      x = (time) => left + ((time - first) / Math.max(end - first, 1e-6)) * (width - left - right);
      const y = (value) => top + (1 - (Math.min(value, high) - low) / (high - low)) * (height - top - bottom);
      figure.replaceChildren();
      const svg = make("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label }, figure);
      for (const [from, to, why] of data.untouched) {
        const band = make("rect", { class: "left", x: x(from), y: top, width: Math.max(x(to) - x(from), 1), height: height - top - bottom }, svg);
        make("title", {}, band, why);
      }
      for (const share of [0, 0.5, 1]) {
        const value = low + share * (high - low);
        make("line", { class: "grid", x1: left, x2: width - right, y1: y(value), y2: y(value) }, svg);
        make("text", { x: left - 6, y: y(value) + 4, "text-anchor": "end" }, svg,
          percent ? `${Math.round(value * 100)}%` : value.toFixed(2));
      }
      const most = data.duration / Math.max(2, Math.min(10, Math.floor(width / 90)));
      const step = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600].find((one) => one >= most) || 7200;
      for (let time = Math.ceil(first / step) * step; time <= end + 1e-6; time += step) {
        const at = x(time);
        const anchor = at < left + 15 ? "start" : at > width - right - 15 ? "end" : "middle";
        make("text", { x: at, y: height - 5, "text-anchor": anchor }, svg, step < 1 ? words(time) : words(time).slice(0, -2));
      }
      for (const one of series) {
        if (one.kind === "asked") {
          const d = path(one.times, one.values, x, y);
          const ends = [one.times[one.times.length - 1], one.times[0]];
          if (d) make("path", { class: "asked-area", d: `${d}L${x(ends[0])} ${y(low)}L${x(ends[1])} ${y(low)}Z` }, svg);
        } else make("path", { class: `series ${one.kind}`, d: path(one.times, one.values, x, y) }, svg);
      }
      line = make("line", { class: "now", y1: top, y2: height - bottom }, svg);
      svg.addEventListener("click", (event) => {
        const box = svg.getBoundingClientRect();
        const at = ((event.clientX - box.left) / box.width) * width;
        go(first + ((at - left) / (width - left - right)) * data.duration);
      });
      const legend = document.createElement("div");
      legend.className = "legend";
      const entries = series.map((one) => [one.kind, one.name]);
      if (data.untouched.length) entries.push(["left", "passed through"]);
      for (const [kind, name] of entries) {
        const entry = document.createElement("span"), mark = document.createElement("i");
        mark.className = kind;
        entry.append(mark, name);
        legend.append(entry);
      }
      figure.append(legend);
      draw();
    }
    function move(now) {
      if (!line) return;
      const at = x(Math.min(Math.max(now, data.begin), end));
      line.setAttribute("x1", at);
      line.setAttribute("x2", at);
    }
    charts.push({ move, render });
  }

  let face = data.faces[0];
  let shown = face.emotion;
  chart("emotion", "How likely the emotion is over time, before and after", () => {
    const i = data.emotions.indexOf(shown);
    const series = [
      { name: "before", kind: "source", times: face.times, values: face.source[i] },
      { name: "after", kind: "output", times: face.times, values: face.output[i] },
    ];
    if (face.asked) series.unshift({ name: "asked for", kind: "asked", times: face.times, values: face.asked[i] });
    return { series, low: 0, high: 1, percent: true };
  });
  chart("lips", "How far the lips are open over time, before and after", () => ({
    series: [
      { name: "before", kind: "source", times: face.lipTimes, values: face.sourceLips },
      { name: "after", kind: "output", times: face.lipTimes, values: face.outputLips },
    ],
    low: 0, high: Math.max(0.1, ...face.sourceLips, ...face.outputLips), percent: false,
  }));
  if (face.identity && face.identity.length) {
    by("identity-section").hidden = false;
    chart("identity", "Likeness of the face before and after over time", () => ({
      series: [{ name: "likeness", kind: "output", times: face.lookTimes, values: face.identity }],
      low: 0, high: 1, percent: false,
    }));
  }
  function show(emotion) {
    shown = emotion;
    document.querySelectorAll("#choices button").forEach((one) => { one.ariaPressed = String(one.textContent === shown); });
    charts.forEach((one) => one.render());
  }
  for (const emotion of data.emotions) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = emotion;
    button.ariaPressed = String(emotion === shown);
    button.addEventListener("click", () => show(emotion));
    by("choices").append(button);
  }
  const buttons = document.querySelectorAll("#faces button");
  buttons.forEach((button, place) => button.addEventListener("click", () => {
    face = data.faces[place];
    buttons.forEach((one) => { one.ariaPressed = String(one === button); });
    document.querySelectorAll(".facts").forEach((one, at) => { one.hidden = at !== place; });
    show(face.emotion);
  }));
  const renderAll = () => { charts.forEach((one) => one.render()); place(); };
  // Also where the page stands in another one, which gives it its width only later.
  let width = 0;
  new ResizeObserver(() => {
    if (by("stage").clientWidth === width) return;
    width = by("stage").clientWidth;
    renderAll();
  }).observe(by("stage"));
  addEventListener("beforeprint", renderAll);
  renderAll();
})();
