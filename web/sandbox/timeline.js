// The timeline of the sandbox network. Whatever comes from a post becomes a
// text node, never mark-up.

const poll_every_ms = 1000;

const place = read_place(location.pathname);
/// Hashtags are looked for among the posts at hand, so there are more of them.
const page_size = place.tag === null ? 40 : 100;
const state = {
  revision: null,
  clock_skew_ms: 0,
  faults: null,
  stats: {},
  posts: new Map(), // id -> element, newest first
  waiting: [], // arrived while the reader was further down
  busy_until: 0, // the reader is moving a slider
  operator: localStorage.getItem("operator") === "yes" || location.hash === "#operators-view",
};

const by_id = (id) => document.getElementById(id);

/// An element; children are nodes or texts.
function make(tag, attributes = {}, ...children) {
  const out = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes))
    if (value !== null && value !== undefined && value !== false)
      out.setAttribute(name, value === true ? "" : String(value));
  out.append(...children.filter((c) => c !== null));
  return out;
}

function icon(name) {
  const space = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(space, "svg");
  const use = document.createElementNS(space, "use");
  svg.setAttribute("aria-hidden", "true");
  use.setAttribute("href", "#i-" + name);
  svg.append(use);
  return svg;
}

/// What part of the network the address names.
function read_place(path) {
  const parts = path.split("/").filter(Boolean).map(decodeURIComponent);
  if (parts[0]?.startsWith("@"))
    return { account: parts[0].slice(1), thread: parts[1] ?? null, tag: null };
  if (parts[0] === "tags") return { account: null, thread: null, tag: parts[1] ?? "" };
  return { account: null, thread: null, tag: null };
}

// -- one post -----------------------------------------------------------------

const pieces = /(https?:\/\/[^\s<>"']+)|(#[\p{L}\p{N}_]*[\p{L}_][\p{L}\p{N}_]*)|(@[A-Za-z0-9_][A-Za-z0-9_.-]*)/gu;

function short_address(url) {
  const bare = url.replace(/^https?:\/\/(www\.)?/, "");
  return bare.length > 42 ? bare.slice(0, 41) + "…" : bare;
}

function render_text(text) {
  const out = make("p", { class: "text", dir: "auto" });
  let done = 0;
  for (const match of text.matchAll(pieces)) {
    let [whole] = match;
    const before = text[match.index - 1] ?? " ";
    if (/[\p{L}\p{N}_]/u.test(before)) continue;
    if (match[1] || match[3]) whole = whole.replace(/[.,;:!?)]+$/, "");
    out.append(text.slice(done, match.index));
    if (match[1])
      out.append(make("a", { href: whole, title: whole, target: "_blank", rel: "noopener noreferrer nofollow" },
        short_address(whole)));
    else if (match[2])
      out.append(make("a", { class: "tag", href: "/tags/" + encodeURIComponent(whole.slice(1)) }, whole));
    else out.append(make("span", { class: "mention" }, whole));
    done = match.index + whole.length;
  }
  out.append(text.slice(done));
  return out;
}

function render_file(file, veiled) {
  const label = file.description || file.file_name || "A file without a description";
  if (!file.path) {
    const gone = file.kind === undefined || file.kind === "image" ? "Picture no longer kept" : "Only taken note of";
    return make("figure", {}, make("div", { class: "absent" }, icon("film"),
      make("span", {}, file.description ? `${gone}: ${file.description}` : gone)));
  }
  const picture = make("img", { src: file.path, alt: label, loading: "lazy",
    width: file.width || null, height: file.height || null });
  const figure = make("figure", { class: veiled ? "veiled" : null },
    make("a", { href: file.path, target: "_blank", rel: "noopener" }, picture));
  if (file.description) figure.append(make("figcaption", { title: file.description }, "ALT"));
  if (veiled)
    figure.addEventListener("click", (event) => {
      if (!figure.classList.contains("veiled")) return;
      event.preventDefault();
      figure.classList.remove("veiled");
    });
  return figure;
}

function render_media(post) {
  if (post.media.length === 0) return null;
  const count = post.media.length;
  const shape = count === 1 ? "" : count === 2 ? "two" : count === 3 ? "many three" : "many";
  return make("div", { class: ("media " + shape).trim() },
    ...post.media.map((file) => render_file(file, post.sensitive)));
}

function render_facts(post) {
  const out = make("div", { class: "facts" }, `id ${post.id}`);
  if (post.idempotency_key) out.append(` · key ${post.idempotency_key}`);
  if (post.calls > 1) out.append(" · ", make("b", {}, `${post.calls} calls, one post`));
  if (post.visible_at !== post.created_at) {
    const late = (Date.parse(post.visible_at) - Date.parse(post.created_at)) / 1000;
    out.append(` · visible ${late} s after it was accepted`);
  }
  return out;
}

const audience_names = { unlisted: "unlisted", private: "followers only", direct: "only those who are mentioned" };

function render_post(post, ghost = false) {
  const profile = "/@" + encodeURIComponent(post.account);
  const address = profile + "/" + post.id;
  const when = ghost
    ? make("span", { class: "when", "data-visible-at": post.visible_at })
    : make("a", { class: "when", href: address, title: new Date(post.created_at).toLocaleString() },
        make("time", { datetime: post.created_at }));
  const byline = make("div", { class: "byline" },
    make("a", { class: "name", href: profile }, post.display_name),
    make("span", { class: "handle" }, "@" + post.account));
  if (post.visibility in audience_names)
    byline.append(make("span", { class: "badge", title: audience_names[post.visibility] }, icon("lock")));
  byline.append(when);

  const out = make("article", { class: ghost ? "post ghost" : "post", "data-id": post.id },
    make("a", { class: "avatar-link", href: profile, tabindex: "-1", "aria-hidden": "true" },
      make("img", { class: "avatar", alt: "", src: "/avatars/" + encodeURIComponent(post.account) + ".svg" })),
    byline);
  if (post.id === place.thread) out.classList.add("focus");
  if (post.in_reply_to_id) {
    const parent = post.in_reply_to_account;
    out.append(make("div", { class: "context" }, icon("reply"),
      parent ? make("a", { href: `/@${encodeURIComponent(parent)}/${post.in_reply_to_id}` }, "in reply to @" + parent)
             : "in reply to a post that is gone"));
  }
  const content = [render_text(post.text), render_media(post)].filter(Boolean);
  if (post.spoiler_text)
    out.append(make("details", { class: "warning" }, make("summary", {}, post.spoiler_text), ...content));
  else out.append(...content);
  const foot = make("div", { class: "foot" });
  if (post.replies > 0)
    foot.append(make("a", { href: address }, icon("reply"), `${post.replies} ${post.replies === 1 ? "reply" : "replies"}`));
  out.append(foot, render_facts(post));
  out.dataset.seen = JSON.stringify(post);
  tell_time(out);
  return out;
}

// -- time -----------------------------------------------------------------------

const now_ms = () => Date.now() + state.clock_skew_ms;

function ago(then_ms) {
  const s = Math.max(0, (now_ms() - then_ms) / 1000);
  if (s < 5) return "now";
  if (s < 60) return `${Math.floor(s)} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min`;
  if (s < 86400) return `${Math.floor(s / 3600)} h`;
  if (s < 7 * 86400) return `${Math.floor(s / 86400)} d`;
  return new Date(then_ms).toLocaleDateString(undefined, { day: "numeric", month: "short", year: "numeric" });
}

function tell_time(root) {
  for (const time of root.querySelectorAll("time"))
    time.textContent = ago(Date.parse(time.getAttribute("datetime")));
  for (const when of root.querySelectorAll("[data-visible-at]")) {
    const left = Math.max(0, Date.parse(when.dataset.visibleAt) - now_ms());
    when.textContent = left > 0 ? `visible in ${Math.ceil(left / 1000)} s` : "visible any moment";
  }
}

// -- the list ---------------------------------------------------------------------

const is_far_down = () => window.scrollY > 400;

function matches_tag(post) {
  if (place.tag === null) return true;
  const wanted = "#" + place.tag.toLowerCase();
  return [...post.text.matchAll(pieces)].some((m) => m[2]?.toLowerCase() === wanted);
}

/// Makes the list agree with the newest posts; older ones that were asked for
/// stay below them.
function show_newest(all) {
  const posts = all.filter(matches_tag);
  const is_full = all.length === page_size;
  const list = by_id("posts");
  const newest_shown = state.posts.keys().next().value;
  const oldest = posts.at(-1)?.id;
  const is_first = list.getAttribute("aria-busy") === "true";
  const has_gap = !place.thread && newest_shown && oldest && BigInt(oldest) > BigInt(newest_shown) && is_full;
  const ids = new Set(posts.map((p) => p.id));
  for (const [id, element] of state.posts) {
    const is_older = oldest && !place.thread && BigInt(id) < BigInt(oldest) && is_full;
    if (!ids.has(id) && (has_gap || !is_older)) {
      element.remove();
      state.posts.delete(id);
    }
  }
  const ordered = new Map();
  let arrivals = 0;
  for (const post of posts) {
    const known = state.posts.get(post.id);
    const same = known?.dataset.seen === JSON.stringify(post);
    const element = same ? known : render_post(post);
    if (!known && !is_first) {
      element.classList.add("arriving");
      ++arrivals;
    }
    ordered.set(post.id, element);
  }
  for (const [id, element] of state.posts) if (!ordered.has(id)) ordered.set(id, element);
  state.posts = ordered;
  place_in_order(list, [...ordered.values()]);
  list.setAttribute("aria-busy", "false");
  by_id("older").hidden = Boolean(place.thread) || !is_full;
  announce(arrivals);
}

/// Moves only what is out of place, so that nothing flickers.
function place_in_order(list, elements) {
  elements.forEach((element, index) => {
    const there = list.children[index];
    if (there !== element) list.insertBefore(element, there ?? null);
  });
  while (list.children.length > elements.length) list.lastElementChild.remove();
}

let unseen = 0;
function announce(arrivals) {
  unseen = is_far_down() ? unseen + arrivals : 0;
  const button = by_id("fresh");
  button.hidden = unseen === 0;
  button.textContent = unseen === 1 ? "1 new post" : `${unseen} new posts`;
}

async function show_older() {
  const last = [...state.posts.keys()].at(-1);
  const answer = await ask({ before: last });
  for (const post of answer.posts.filter(matches_tag)) {
    const element = render_post(post);
    state.posts.set(post.id, element);
    by_id("posts").append(element);
  }
  by_id("older").hidden = answer.posts.length < page_size;
}

function show_pending(posts) {
  const list = by_id("pending");
  const mine = posts.filter((p) => !place.account || p.account === place.account).reverse();
  list.replaceChildren(...mine.map((p) => render_post(p, true)));
  list.hidden = mine.length === 0;
}

function show_empty() {
  const box = by_id("empty");
  box.hidden = state.posts.size > 0 || !by_id("pending").hidden;
  if (box.hidden || box.childElementCount > 0) return;
  box.append(icon("bell"));
  if (place.thread || place.account || place.tag !== null) {
    box.append(make("h2", {}, "Nothing to see here"), make("p", {}, place.tag === null
      ? "It may not have been posted, or not be visible yet."
      : `None of the ${page_size} newest posts has this hashtag.`));
    return;
  }
  box.append(
    make("h2", {}, "All quiet"),
    make("p", {}, "Posts appear here the moment Carillon publishes them. Or post one yourself:"),
    make("pre", {}, `curl -H 'Authorization: Bearer sandbox-acme' \\\n  --data-urlencode status='Hello, nobody!' \\\n  ${location.origin}/api/v1/statuses`));
}

// -- counters ---------------------------------------------------------------------

const number = new Intl.NumberFormat();

function show_stats(stats) {
  state.stats = stats;
  const dealt = Object.values(stats.faults).reduce((sum, n) => sum + n, 0);
  by_id("n-posts").textContent = number.format(stats.posts);
  by_id("n-accounts").textContent = number.format(stats.accounts);
  by_id("n-pending").textContent = number.format(stats.not_visible_yet);
  by_id("n-duplicates").textContent = number.format(stats.duplicates);
  by_id("n-faults").textContent = number.format(dealt);
  by_id("c-duplicates").classList.toggle("alarm", stats.duplicates > 0);
}

// -- misbehaviour -------------------------------------------------------------------

const percent = (n) => `${+(n * 100).toFixed(1)} %`;
const duration = (ms) => (ms >= 1000 ? `${+(ms / 1000).toFixed(1)} s` : `${ms} ms`);
const seconds = (s) => `${s} s`;

const knobs = [
  { group: "Every call", items: [
    { key: "latency_ms", label: "Takes its time", max: 5000, step: 50, show: duration, count: "latency" },
  ] },
  { group: "A post is not accepted", items: [
    { key: "rate_429", label: "Throttles (429)", rate: true },
    { key: "retry_after", label: "… and asks to wait", max: 60, step: 1, show: seconds, detail: "rate_429" },
    { key: "rate_5xx", label: "Fails (5xx)", rate: true },
    { key: "drop_before_accept", label: "Drops the connection", rate: true },
  ] },
  { group: "A post is accepted, its answer lost", items: [
    { key: "accept_then_drop", label: "Drops the connection", rate: true },
    { key: "accept_then_hang", label: "Goes silent", rate: true },
    { key: "hang_ms", label: "… for", max: 120000, step: 1000, show: duration, detail: "accept_then_hang" },
    { key: "accept_then_5xx", label: "Answers an error page", rate: true },
  ] },
  { group: "A post is accepted", items: [
    { key: "visibility_delay_ms", label: "Shows it late", max: 60000, step: 500, show: duration, count: "visibility_delay" },
    { key: "media_processing_ms", label: "Is slow with files", max: 60000, step: 500, show: duration, count: null },
    { key: "ignore_idempotency_keys", label: "Ignores idempotency keys", flag: true },
  ] },
  { group: "How often", items: [
    { key: "times", label: "Only the next calls", max: 100, step: 1, show: (n) => (n === 0 ? "all" : String(n)), count: null, detail: true },
  ] },
];

const presets = [
  ["Slow", { latency_ms: 1500 }],
  ["Throttled", { rate_429: 0.5, retry_after: 5 }],
  ["Failing", { rate_5xx: 0.4 }],
  ["Loses answers", { accept_then_drop: 0.5, ignore_idempotency_keys: true }],
  ["Hangs", { accept_then_hang: 0.5, hang_ms: 40000 }],
  ["Shows late", { visibility_delay_ms: 8000 }],
  ["A bad day", { latency_ms: 400, rate_429: 0.1, rate_5xx: 0.1, accept_then_drop: 0.15, visibility_delay_ms: 3000 }],
];

const controls = new Map();

function build_panel() {
  const form = by_id("faults");
  for (const { group, items } of knobs) {
    const set = make("fieldset", {}, make("legend", {}, group));
    for (const item of items) set.append(item.flag ? build_switch(item) : build_slider(item));
    form.append(set);
  }
  form.addEventListener("submit", (event) => event.preventDefault());
  for (const [name, wanted] of presets) {
    const button = make("button", { type: "button" }, name);
    button.addEventListener("click", () => change_faults("POST", wanted));
    by_id("presets").append(button);
  }
}

function build_slider(item) {
  const value = make("span", { class: "value" });
  const slider = make("input", { type: "range", min: 0, max: item.rate ? 1 : item.max, step: item.rate ? 0.05 : item.step,
    "aria-label": item.label });
  const times = make("em", { class: "times", title: "how often it has happened" });
  const row = make("label", { class: "knob" }, make("span", {}, item.label, times), value, slider);
  slider.addEventListener("input", () => {
    state.busy_until = Date.now() + 1500;
    show_knob(item, Number(slider.value));
  });
  slider.addEventListener("change", () => set_fault(item.key, Number(slider.value)));
  controls.set(item.key, { item, row, value, times, input: slider });
  return row;
}

function build_switch(item) {
  const times = make("em", { class: "times", title: "how often it has happened" });
  const box = make("input", { type: "checkbox" });
  const row = make("label", { class: "switch" }, box, make("span", { class: "track", "aria-hidden": "true" }),
    make("span", {}, item.label, times));
  box.addEventListener("change", () => set_fault(item.key, box.checked));
  controls.set(item.key, { item, row, times, input: box });
  return row;
}

function show_knob(item, wanted) {
  const { row, value, times, input } = controls.get(item.key);
  const name = item.count === undefined ? item.key : item.count;
  const dealt = name ? (state.stats.faults?.[name] ?? 0) : 0;
  times.textContent = dealt > 0 ? `${number.format(dealt)}×` : "";
  if (item.flag) {
    input.checked = wanted;
    return;
  }
  input.value = wanted;
  value.textContent = wanted === 0 && !item.detail ? "off" : (item.show ?? percent)(wanted);
  row.classList.toggle("set", wanted > 0 && !item.detail);
}

function is_harmful(faults) {
  const spent = faults.times > 0 && faults.times_left === 0;
  return !spent && knobs.some(({ items }) => items.some((i) => !i.detail && Boolean(faults[i.key])));
}

function show_faults(faults) {
  state.faults = faults;
  const mood = by_id("mood");
  const harmful = is_harmful(faults);
  mood.textContent = harmful
    ? (faults.times_left === null ? "misbehaves" : `misbehaves ${faults.times_left} more times`)
    : "behaves well";
  mood.classList.toggle("bad", harmful);
  if (Date.now() < state.busy_until) return;
  for (const { item, row } of controls.values()) {
    show_knob(item, faults[item.key]);
    // What only says more about another fault is in the way without it.
    row.hidden = typeof item.detail === "string" && faults[item.detail] === 0;
  }
}

function set_fault(key, wanted) {
  const { times_left, ...current } = state.faults ?? {};
  return change_faults("POST", { ...current, [key]: wanted });
}

async function change_faults(method, wanted) {
  state.busy_until = 0;
  const problem = by_id("problem");
  try {
    const answer = await fetch("/sandbox/faults", {
      method,
      headers: { "Content-Type": "application/json" },
      body: method === "POST" ? JSON.stringify(wanted) : undefined,
    });
    const body = await answer.json();
    problem.hidden = answer.ok;
    if (answer.ok) show_faults(body);
    else problem.textContent = body.error;
  } catch {
    problem.hidden = false;
    problem.textContent = "The network does not answer.";
  }
}

/// Asks once more before it empties everything.
function arm_reset() {
  const button = by_id("reset");
  let until = 0;
  button.addEventListener("click", async () => {
    if (Date.now() > until) {
      until = Date.now() + 4000;
      button.textContent = "Really?";
      button.classList.add("sure");
      setTimeout(calm, 4000);
      return;
    }
    until = 0;
    calm();
    await fetch("/sandbox/reset", { method: "POST", headers: { "Content-Type": "application/json" } });
    state.revision = null;
    poll();
  });
  function calm() {
    button.textContent = "Empty network";
    button.classList.remove("sure");
  }
}

// -- keeping up -------------------------------------------------------------------

async function ask(more) {
  const query = new URLSearchParams({ limit: page_size });
  if (place.thread) query.set("thread", place.thread);
  else if (place.account) query.set("account", place.account);
  if (state.operator) query.set("pending", "1");
  for (const [name, value] of Object.entries(more)) if (value !== null && value !== undefined) query.set(name, value);
  const answer = await fetch("/sandbox/timeline?" + query, { signal: AbortSignal.timeout(10000) });
  if (!answer.ok) throw new Error(String(answer.status));
  return answer.json();
}

function show_live(on, text) {
  by_id("live").className = on ? "live on" : "live off";
  by_id("live-text").textContent = text;
}

let polling = false;
async function poll() {
  if (polling) return;
  polling = true;
  try {
    const answer = await ask({ since: state.revision });
    state.clock_skew_ms = Date.parse(answer.now) - Date.now();
    show_live(true, "live");
    show_stats(answer.stats);
    show_faults(answer.faults);
    if (answer.changed) {
      show_pending(answer.pending ?? []);
      show_newest(answer.posts);
      state.revision = answer.revision;
    }
    show_empty();
  } catch {
    show_live(false, "the network does not answer");
  } finally {
    polling = false;
  }
  tell_time(document);
}

function show_title() {
  const title = by_id("title");
  const back = make("a", { href: "/" }, "← everything");
  if (place.thread) title.replaceChildren("Conversation ", back);
  else if (place.account) title.replaceChildren("@" + place.account + " ", back);
  else if (place.tag !== null) title.replaceChildren("#" + place.tag + " ", back);
  if (place.account) document.title = `@${place.account} · Sandbox network`;
}

function show_operator() {
  document.body.classList.toggle("operator", state.operator);
  by_id("operator").checked = state.operator;
}

by_id("operator").addEventListener("change", (event) => {
  state.operator = event.target.checked;
  localStorage.setItem("operator", state.operator ? "yes" : "no");
  state.revision = null;
  show_operator();
  poll();
});
by_id("older").addEventListener("click", show_older);
by_id("fresh").addEventListener("click", () => {
  window.scrollTo({ top: 0, behavior: "smooth" });
  announce(0);
});
by_id("behave").addEventListener("click", () => change_faults("DELETE"));
by_id("panel-button").addEventListener("click", () => {
  const open = by_id("panel").classList.toggle("open");
  by_id("panel-button").setAttribute("aria-expanded", String(open));
});
window.addEventListener("scroll", () => { if (!is_far_down() && unseen > 0) announce(0); }, { passive: true });
document.addEventListener("visibilitychange", () => { if (!document.hidden) poll(); });

build_panel();
arm_reset();
show_title();
show_operator();
poll();
setInterval(() => { if (!document.hidden) poll(); }, poll_every_ms);
