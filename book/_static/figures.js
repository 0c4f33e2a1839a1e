/* Draws the page's plotly figures: one local copy of plotly.js, loaded only where there is a figure,
   each figure when it comes near the window, repainted when the reader changes the theme. */
(function () {
  "use strict";
  if (window.pathoganFigures) return; // the theme may link this file twice
  window.pathoganFigures = true;

  var MIME = "application/vnd.plotly.v1+json";
  var script = (document.currentScript && document.currentScript.src) || "";
  var siteRoot = script.replace(/_static\/[^]*$/, "");
  var calm = window.matchMedia("(prefers-reduced-motion: reduce)").matches;
  var touch = window.matchMedia("(hover: none)").matches;
  var plotly = null;

  function loadPlotly() {
    plotly =
      plotly ||
      new Promise(function (resolve, reject) {
        var tag = document.createElement("script");
        tag.src = siteRoot + "vendor/plotly.min.js";
        tag.onload = resolve;
        tag.onerror = function () {
          reject(new Error("plotly.js is not part of this copy of the site"));
        };
        document.head.appendChild(tag);
      });
    return plotly;
  }

  function palette() {
    var dark = document.documentElement.dataset.theme === "dark";
    return dark
      ? { ink: "#d5dde3", grid: "#39434d", line: "#6b7885", pane: "#1b2127", button: "#2a333c" }
      : { ink: "#22303a", grid: "#dfe5e9", line: "#9aa7b1", pane: "#fbfcfc", button: "#eef2f4" };
  }

  /* Colours go into the figure's template, so an axis or label whose builder chose a colour keeps it. */
  function themed(layout) {
    var c = palette();
    var axis = {
      gridcolor: c.grid,
      linecolor: c.line,
      tickcolor: c.line,
      zerolinecolor: c.grid,
    };
    var pane = Object.assign({ backgroundcolor: c.pane, showbackground: true }, axis);
    var result = Object.assign({}, layout);
    var template = Object.assign({}, layout.template);
    var base = Object.assign({}, template.layout);
    ["xaxis", "yaxis"].forEach(function (key) {
      base[key] = Object.assign({}, base[key], axis);
    });
    base.scene = Object.assign({}, base.scene);
    ["xaxis", "yaxis", "zaxis"].forEach(function (key) {
      base.scene[key] = Object.assign({}, base.scene[key], pane);
    });
    base.legend = Object.assign({}, base.legend, { bgcolor: "rgba(0,0,0,0)" });
    base.updatemenudefaults = { bgcolor: c.button, bordercolor: c.line, font: { color: c.ink } };
    base.sliderdefaults = { bgcolor: c.button, bordercolor: c.line, font: { color: c.ink } };
    template.layout = base;
    result.template = template;
    result.font = Object.assign({}, layout.font, { color: c.ink });
    result.paper_bgcolor = "rgba(0,0,0,0)";
    result.plot_bgcolor = "rgba(0,0,0,0)";
    result.uirevision = "kept"; // zoom, camera and hidden traces survive a change of theme
    return result;
  }

  /* Every figure follows the width of the page; motion only for readers who want it. */
  function prepared(spec) {
    var layout = Object.assign({ height: 420 }, spec.layout);
    delete layout.width;
    layout.autosize = true;
    if (calm) {
      delete layout.transition;
      (layout.sliders || []).forEach(function (slider) {
        slider.transition = { duration: 0 };
      });
      (spec.frames || []).forEach(function (frame) {
        if (frame.layout) delete frame.layout.transition;
      });
    }
    if (sheetOf(spec)) {
      if (touch) layout.dragmode = false; // a finger taps a mark or scrolls the page
      spec.data.forEach(function (trace) {
        trace.hoverinfo = "none"; // the image takes the place of the label
        delete trace.hovertemplate;
      });
    }
    spec.layout = layout;
    return spec;
  }

  /* The sheet of images that a figure's marks stand for: {source, columns, rows}, if it has one. */
  function sheetOf(spec) {
    return spec.layout.meta && spec.layout.meta.sprite;
  }

  /* Pointing at a mark, or tapping it, shows its image: the tile of the sheet with the number in the
     mark's customdata. It takes neither pointer nor focus, and Escape puts it away. */
  function showImages(plot, sheet) {
    var ring = document.createElement("div");
    var card = document.createElement("div");
    var tile = document.createElement("div");
    var caption = document.createElement("div");
    ring.className = "pg-preview-ring";
    card.className = "pg-preview";
    tile.style.backgroundImage = 'url("' + sheet.source + '")';
    tile.style.backgroundSize = sheet.columns * 100 + "% " + sheet.rows * 100 + "%";
    card.append(tile, caption);
    [ring, card].forEach(function (element) {
      element.setAttribute("aria-hidden", "true"); // the figure's label speaks for all marks
      element.hidden = true;
      plot.appendChild(element);
    });

    function share(index, count) {
      return (count > 1 ? (100 * index) / (count - 1) : 0) + "%";
    }
    function show(event) {
      var point = event.points[0];
      var box = point.bbox;
      var column = point.customdata % sheet.columns;
      var row = Math.floor(point.customdata / sheet.columns);
      tile.style.backgroundPosition = share(column, sheet.columns) + " " + share(row, sheet.rows);
      caption.textContent = point.data.name;
      ring.hidden = card.hidden = false;
      ring.style.left = (box.x0 + box.x1) / 2 + "px";
      ring.style.top = (box.y0 + box.y1) / 2 + "px";
      var gap = 10;
      var right = box.x1 + gap;
      var left = right + card.offsetWidth <= plot.offsetWidth ? right : box.x0 - gap - card.offsetWidth;
      var top = (box.y0 + box.y1 - card.offsetHeight) / 2;
      card.style.left = Math.max(0, left) + "px";
      card.style.top = Math.max(0, Math.min(top, plot.offsetHeight - card.offsetHeight)) + "px";
    }
    function hide() {
      ring.hidden = card.hidden = true;
    }
    plot.on("plotly_hover", show);
    plot.on("plotly_click", show);
    plot.on("plotly_unhover", hide);
    if (!touch) plot.on("plotly_relayout", hide); // zoomed; plotly takes a tap for two clicks
    document.addEventListener("keydown", function (event) {
      if (event.key === "Escape") hide();
    });
    document.addEventListener("pointerdown", function (event) {
      if (!plot.contains(event.target)) hide();
    });
  }

  /* What a notebook stores as configuration is for plotly's own server; the page has its own. A grid of
     images has nothing to zoom into, and without a mouse the tools would lie on the title for good. */
  function configured(spec) {
    var still = Boolean(spec.layout.meta && spec.layout.meta.still);
    return {
      responsive: true,
      staticPlot: still,
      displaylogo: false,
      displayModeBar: touch ? false : "hover",
      modeBarButtonsToRemove: ["lasso2d", "select2d"],
    };
  }

  function draw(figure) {
    if (figure.dataset.state) return;
    figure.dataset.state = "loading";
    var plot = figure.querySelector(".pg-plot");
    loadPlotly()
      .then(function () {
        var spec = prepared(JSON.parse(figure.querySelector('script[type="' + MIME + '"]').textContent));
        figure.spec = spec;
        plot.textContent = "";
        return window.Plotly.newPlot(plot, {
          data: spec.data,
          layout: themed(spec.layout),
          frames: spec.frames || [],
          config: configured(spec),
        });
      })
      .then(function () {
        if (sheetOf(figure.spec)) showImages(plot, sheetOf(figure.spec));
        figure.dataset.state = "drawn";
      })
      .catch(function (error) {
        figure.dataset.state = "failed";
        plot.textContent = "";
        var note = document.createElement("p");
        note.className = "pg-waiting";
        note.textContent = figure.getAttribute("aria-label") + " (not drawn: " + error.message + ")";
        plot.appendChild(note);
      });
  }

  function repaint() {
    document.querySelectorAll('.pg-figure[data-state="drawn"]').forEach(function (figure) {
      window.Plotly.react(figure.querySelector(".pg-plot"), figure.spec.data, themed(figure.spec.layout));
    });
  }

  function start() {
    var figures = document.querySelectorAll(".pg-figure");
    if (!figures.length) return;
    if (!("IntersectionObserver" in window)) {
      figures.forEach(draw);
      return;
    }
    var near = new IntersectionObserver(
      function (entries) {
        entries.forEach(function (entry) {
          if (!entry.isIntersecting) return;
          near.unobserve(entry.target);
          draw(entry.target);
        });
      },
      { rootMargin: "400px" }
    );
    figures.forEach(function (figure) {
      near.observe(figure);
    });
    new MutationObserver(repaint).observe(document.documentElement, {
      attributes: true,
      attributeFilter: ["data-theme"],
    });
    window.addEventListener("beforeprint", function () {
      figures.forEach(draw);
    });
  }

  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else start();
})();
