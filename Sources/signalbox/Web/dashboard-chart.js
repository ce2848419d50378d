// SignalBox: line charts over time, drawn as SVG: axes, units, the values under the pointer or the keyboard's cursor.
// SPDX-License-Identifier: Apache-2.0

import { format, make, setText } from "/dashboard-elements.js";

const margin = { top: 10, right: 10, bottom: 22, left: 52 }; // px
const height = 190; // px
const distances = [10, 15, 30, 60, 120, 300].map((seconds) => seconds * 1000); // ms between times on the axis
const gap = 3; // steps without a point after which a line is interrupted

function draw(tag, attributes = {}, ...children) {
    const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    made.append(...children);
    return made;
}

/** The values at which an axis from 0 to at least `highest` has lines: 1, 2 or 5 times a power of ten apart. */
export function ticksUpTo(highest, wanted = 4) {
    const rough = Math.max(highest, Number.EPSILON) / wanted;
    const power = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 5, 10].map((factor) => factor * power).find((each) => each >= rough * 0.999);
    const ticks = [];
    for (let index = 0; ticks.length === 0 || ticks.at(-1) < highest * 0.999; index += 1) ticks.push(index * step);
    return ticks;
}

/** Points as an SVG path; undefined values and long silences interrupt it. */
function path(points, x, y, longest) {
    let text = "";
    let before;
    for (const { time, value } of points) {
        if (value === undefined) {
            before = undefined;
            continue;
        }
        const isJoined = before !== undefined && time - before <= longest;
        text += `${isJoined ? "L" : "M"}${x(time).toFixed(1)} ${y(value).toFixed(1)}`;
        before = time;
    }
    return text;
}

/** The area below the longest uninterrupted end of a line. */
function area(points, x, y, longest) {
    let start = points.length - 1;
    if (start < 0 || points[start].value === undefined) return "";
    while (start > 0 && points[start - 1].value !== undefined && points[start].time - points[start - 1].time <= longest) start -= 1;
    const part = points.slice(start);
    if (part.length < 2) return "";
    return `${path(part, x, y, longest)}L${x(part.at(-1).time).toFixed(1)} ${y(0)}L${x(part[0].time).toFixed(1)} ${y(0)}Z`;
}

/** One point per `width` milliseconds, the mean of those in it: what jumps from step to step is read as a level. */
export function averaged(points, width) {
    const means = [];
    for (const { time, value } of points) {
        if (value === undefined) continue;
        const slot = Math.floor(time / width);
        const last = means.at(-1);
        if (last?.slot === slot) {
            last.sum += value;
            last.count += 1;
            last.time = time;
        } else {
            means.push({ slot, sum: value, count: 1, time });
        }
    }
    return means.map(({ time, sum, count }) => ({ time, value: sum / count }));
}

/** A line without axes, for a tile. */
export class Sparkline {
    #line = draw("path", { class: "line" });
    #area = draw("path", { class: "area" });
    element = draw("svg", { class: "spark", viewBox: "0 0 120 32", preserveAspectRatio: "none", "aria-hidden": "true" },
        this.#area, this.#line);

    /** @param {{ time: number, value: number | undefined }[]} points */
    show(all, span) {
        const step = span / 40;
        const points = averaged(all, step);
        const end = points.at(-1)?.time ?? 0;
        const highest = Math.max(1e-9, ...points.map(({ value }) => value ?? 0));
        const x = (time) => 120 * (1 - (end - time) / span);
        const y = (value) => 30 - 27 * (value / highest);
        this.#line.setAttribute("d", path(points, x, y, gap * step));
        this.#area.setAttribute("d", area(points, x, y, gap * step));
    }
}

/**
 * A chart of one or more series over the last minutes. `series` are `{ name, tone, value(point) }`; `write` turns a value into
 * words with its unit, `axis` into those beside the grid; `unit` says what is counted; `least` is how high the axis is at least.
 */
export class LineChart {
    #series;
    #write;
    #axis;
    #span = 600_000;
    #step = 2_000;
    #least;
    #points = [];
    #width = 600;
    #y = () => 0;
    /** The point that is read, as an index. */
    #read;
    #svg;
    #grid = draw("g", { class: "grid" });
    #plot = draw("g");
    #cursor = draw("line", { class: "cursor" });
    #dots = draw("g");
    #lines;
    #areas;
    #tip = make("div", { className: "tip", hidden: true });
    #legend;
    #title;

    constructor({ title, unit, series, write = format.count, axis = write, least = 4 }) {
        this.#title = title;
        this.#series = series;
        this.#write = write;
        this.#axis = axis;
        this.#least = least;
        this.#areas = series.map(({ tone }) => draw("path", { class: "area", "data-tone": tone }));
        this.#lines = series.map(({ tone }) => draw("path", { class: "line", "data-tone": tone }));
        this.#plot.append(...this.#areas, ...this.#lines);
        this.#svg = draw("svg", { class: "chart", height, tabindex: "0", role: "img" },
            this.#grid, this.#plot, this.#cursor, this.#dots);
        this.#legend = series.map(({ name, tone }) => {
            const value = make("b");
            return { value, item: make("li", { data: { tone } }, name, " ", value) };
        });
        const head = make("div", { className: "head" },
            make("h2", {}, title, " ", make("small", {}, unit)),
            make("ul", { className: "legend" }, ...this.#legend.map(({ item }) => item)));
        this.element = make("section", { className: "card chart-card" }, head,
            make("div", { className: "plot" }, this.#svg, this.#tip));
        new ResizeObserver(([{ contentRect }]) => this.#resize(contentRect.width)).observe(this.#svg.parentElement);
        this.#listen();
    }

    /** @param {{ time: number }[]} points ascending; `span` and `step` in milliseconds. */
    show(points, span, step) {
        this.#points = points;
        this.#span = span;
        this.#step = step;
        this.#render();
    }

    #listen() {
        const svg = this.#svg;
        svg.addEventListener("pointermove", (event) => this.#readAt(event.clientX - svg.getBoundingClientRect().left));
        svg.addEventListener("pointerdown", (event) => this.#readAt(event.clientX - svg.getBoundingClientRect().left));
        for (const end of ["pointerleave", "blur"]) svg.addEventListener(end, () => this.#readPoint(undefined));
        svg.addEventListener("keydown", (event) => {
            const steps = { ArrowLeft: -1, ArrowRight: 1, PageUp: -15, PageDown: 15, Home: -Infinity, End: Infinity };
            const step = steps[event.key];
            if (step === undefined || this.#points.length === 0) return;
            event.preventDefault();
            // Told to those who listen; a moving pointer would talk without end.
            this.#tip.setAttribute("aria-live", "polite");
            const last = this.#points.length - 1;
            this.#readPoint(Math.min(Math.max((this.#read ?? last + (step > 0 ? 0 : 1)) + step, 0), last));
        });
    }

    #resize(width) {
        this.#width = Math.max(200, Math.floor(width));
        this.#render();
    }

    get #end() {
        return this.#points.at(-1)?.time ?? Date.now();
    }

    #x = (time) => margin.left + (this.#width - margin.left - margin.right) * (1 - (this.#end - time) / this.#span);

    #render() {
        const values = (value) => this.#points.map((point) => ({ time: point.time, value: value(point) }));
        const series = this.#series.map(({ value }) => values(value));
        const highest = Math.max(this.#least, ...series.flat().map(({ value }) => value ?? 0));
        const ticks = ticksUpTo(highest);
        const y = (value) => height - margin.bottom - (height - margin.top - margin.bottom) * (value / ticks.at(-1));
        this.#y = y;
        this.#svg.setAttribute("viewBox", `0 0 ${this.#width} ${height}`);
        this.#svg.setAttribute("width", this.#width);
        this.#grid.replaceChildren(...this.#rows(ticks, y), ...this.#columns());
        for (const [index, points] of series.entries()) {
            this.#lines[index].setAttribute("d", path(points, this.#x, y, gap * this.#step));
            this.#areas[index].setAttribute("d", area(points, this.#x, y, gap * this.#step));
            setText(this.#legend[index].value, this.#inWords(points.at(-1)?.value));
        }
        const now = this.#series.map(({ name }, index) => `${name} ${this.#inWords(series[index].at(-1)?.value)}`);
        this.#svg.setAttribute("aria-label", `${this.#title} over ${format.seconds(this.#span / 1000)}. Now: ${now.join(", ")}.`);
        this.#readPoint(this.#read);
    }

    #inWords(value) {
        return value === undefined ? "–" : this.#write(value);
    }

    #rows(ticks, y) {
        return ticks.flatMap((tick) => [
            draw("line", { x1: margin.left, x2: this.#width - margin.right, y1: y(tick), y2: y(tick) }),
            draw("text", { x: margin.left - 8, y: y(tick) + 4, "text-anchor": "end" }, this.#axis(tick)),
        ]);
    }

    /** As many as there is room for, at round times. */
    #columns() {
        const room = Math.max(1, Math.floor((this.#width - margin.left) / 80));
        const every = distances.find((each) => this.#span / each <= room) ?? distances.at(-1);
        const digits = every < 60_000 ? 8 : 5;
        const first = Math.ceil((this.#end - this.#span) / every) * every;
        const columns = [];
        for (let time = first; time <= this.#end; time += every) {
            const x = this.#x(time);
            if (x < margin.left + 12 || x > this.#width - 20) continue;
            columns.push(draw("text", { x, y: height - 4, "text-anchor": "middle" }, format.clock(time).slice(0, digits)));
        }
        return columns;
    }

    #readAt(x) {
        this.#tip.removeAttribute("aria-live");
        let nearest;
        for (const [index, { time }] of this.#points.entries()) {
            if (nearest === undefined || Math.abs(this.#x(time) - x) < Math.abs(this.#x(this.#points[nearest].time) - x)) nearest = index;
        }
        this.#readPoint(nearest);
    }

    #readPoint(index) {
        const point = index === undefined ? undefined : this.#points[index];
        this.#read = point && index;
        this.#tip.hidden = !point;
        this.#cursor.setAttribute("visibility", point ? "visible" : "hidden");
        this.#dots.replaceChildren();
        if (!point) return;
        const x = this.#x(point.time);
        for (const [name, value] of [["x1", x], ["x2", x], ["y1", margin.top], ["y2", height - margin.bottom]]) {
            this.#cursor.setAttribute(name, value);
        }
        const lines = this.#series.map(({ name, tone, value }) => {
            const read = value(point);
            if (read !== undefined) this.#dots.append(draw("circle", { cx: x, cy: this.#y(read), r: 3.5, "data-tone": tone }));
            return make("li", { data: { tone } }, name, " ", make("b", {}, this.#inWords(read)));
        });
        this.#tip.replaceChildren(make("time", {}, format.clock(point.time)), make("ul", { className: "legend" }, ...lines));
        const room = this.#width - this.#tip.offsetWidth;
        this.#tip.style.left = `${Math.max(0, Math.min(room, x > this.#width / 2 ? x - this.#tip.offsetWidth - 12 : x + 12))}px`;
    }
}
