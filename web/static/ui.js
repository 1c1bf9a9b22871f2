// What makes the pages live. Without this file everything works; nothing here knows any data.
(() => {
  "use strict";
  const one = (selector, within = document) => within.querySelector(selector);
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  const kept = (name) => { try { return localStorage.getItem(name); } catch { return null; } };
  const keep = (name, value) => { try { localStorage.setItem(name, value); } catch { /* private */ } };

  for (const element of all("[data-scripted]")) element.hidden = false;

  // Forms: the session's secret in htmx requests; a double click does nothing twice.
  const secret = one("meta[name=csrf]")?.content;
  document.body.addEventListener("htmx:configRequest", (event) => {
    if (secret) event.detail.headers["X-CSRF-Token"] = secret;
  });
  // A form that leaves the page is sent once; one that stays may be sent again after a moment.
  const DOUBLE_CLICK = 700;
  document.addEventListener("submit", (event) => {
    const form = event.target, button = event.submitter?.value ?? "";
    const twice = form.hasAttribute("hx-post")
      ? form.dataset.sent === button && performance.now() - form.dataset.at < DOUBLE_CLICK
      : form.matches("[data-once]") && "sent" in form.dataset;
    if (twice) { event.preventDefault(); event.stopPropagation(); return; }
    form.dataset.sent = button;
    form.dataset.at = performance.now();
  }, true);
  addEventListener("pageshow", () => all("[data-sent]").forEach((form) => delete form.dataset.sent));
  for (const range of all("[data-shows]")) {
    range.addEventListener("input", () => { document.getElementById(range.dataset.shows).value = range.value; });
  }

  // Uploads: too large a file is refused before it is sent; how much was sent is shown.
  document.addEventListener("change", (event) => {
    const field = event.target;
    if (!field.matches("[data-most]")) return;
    const large = (field.files[0]?.size ?? 0) > Number(field.dataset.most);
    field.setCustomValidity(large ? field.dataset.mostText : "");
    if (large) field.reportValidity();
  });
  document.body.addEventListener("htmx:xhr:progress", (event) => {
    const line = one("[data-progress]", event.target);
    if (!line || !event.detail.lengthComputable) return;
    line.hidden = false;
    one("progress", line).value = event.detail.loaded / event.detail.total;
  });

  // Ages stay true while the page is open.
  const UNITS = [[86400, "day"], [3600, "hour"], [60, "minute"], [1, "second"]];
  const age = (seconds) => {
    if (seconds < 1.5) return "just now";
    const [size, name] = UNITS.find(([size]) => seconds >= size);
    const count = Math.floor(seconds / size);
    return `${count.toLocaleString("en")} ${name}${count > 1 ? "s" : ""} ago`;
  };
  setInterval(() => {
    for (const time of all("time[data-ago]")) {
      const text = age((Date.now() - Date.parse(time.dateTime)) / 1000);
      if (time.textContent !== text) time.textContent = text;
    }
  }, 1000);

  // What is wider than the page shows the place it is about.
  for (const here of all("svg .here, nav [aria-current]")) here.scrollIntoView({ block: "nearest", inline: "center" });

  // Copying.
  document.addEventListener("click", async (event) => {
    const button = event.target.closest?.("[data-copy]");
    if (!button) return;
    const found = one(button.dataset.copy);
    const lines = found.matches("ol")
      ? all("li", found).map((li) => `${one("p", li).innerText.trim()} – ${one("h2 a", li).innerText.trim()}`)
      : [found.innerText.trim()];
    await navigator.clipboard.writeText(lines.join("\n"));
    button.textContent = "copied";
  });

  // A list is brought to its new state track by track: what stays keeps its element, its focus and
  // what is open. While somebody is at the list it waits, and says so.
  let waiting = null;
  const keyed = (target, html) => {
    const next = document.createElement("template");
    next.innerHTML = html;
    const [from, to] = [one("[data-tracks]", target), one("[data-tracks]", next.content)];
    if (!from || !to) { target.replaceChildren(next.content); htmx.process(target); return; }
    one("[data-listing]", target).className = one("[data-listing]", next.content).className;
    one("[data-head]", target).replaceWith(one("[data-head]", next.content));
    const known = new Map(all("[data-key]", from).map((li) => [li.dataset.key, li]));
    const added = [];
    [...to.children].forEach((fresh, place) => {
      let li = known.get(fresh.dataset.key);
      if (li) {
        known.delete(fresh.dataset.key);
        one(".place", li).textContent = place + 1;
        li.classList.remove("new");
        one(".marks", li).replaceWith(one(".marks", fresh));
        const closed = !one("details[open]", li) && one(".why", li);
        if (closed && !closed.dataset.read) { const why = one(".why", fresh); closed.replaceWith(why); added.push(why); }
      } else {
        li = fresh;
        li.classList.add("new");
        added.push(li);
      }
      if (from.children[place] !== li) from.insertBefore(li, from.children[place] ?? null);
    });
    for (const gone of known.values()) gone.remove();
    added.forEach((element) => htmx.process(element));
  };
  const busy = (target, html) => {
    if (target.contains(document.activeElement) || target.matches(":hover")) return true;
    const opened = all("[data-key]:has(details[open])", target).map((li) => li.dataset.key);
    if (!opened.length) return false;
    const next = document.createElement("template");
    next.innerHTML = html;
    const stays = new Set(all("[data-key]", next.content).map((li) => li.dataset.key));
    return opened.some((key) => !stays.has(key));
  };
  const held = one("[data-held]");
  const show = () => {
    if (!waiting) return;
    const [target, html] = waiting;
    waiting = null;
    if (held) held.hidden = true;
    keyed(target, html);
  };
  one("[data-show]")?.addEventListener("click", () => { show(); one("main").focus(); });
  const place = (target, html) => {
    const mode = target.dataset.mode;
    if (mode === "prepend") {
      target.insertAdjacentHTML("afterbegin", html);
      while (target.children.length > 20) target.lastElementChild.remove();
    } else if (mode === "keyed") {
      waiting = [target, html];
      if (held && busy(target, html)) held.hidden = false; else show();
    } else {
      const opened = all("details[open][id]", target).map((details) => details.id);
      target.innerHTML = html;
      for (const id of opened) document.getElementById(id)?.setAttribute("open", "");
      htmx.process(target);
    }
  };
  const quiet = () => {
    if (waiting && !busy(...waiting)) show();
  };
  addEventListener("pointerleave", quiet, true);
  addEventListener("focusout", () => setTimeout(quiet, 0));
  // A title once read keeps its reasons: the list they belong to was shown.
  document.body.addEventListener("htmx:afterSwap", (event) => {
    event.target.closest?.("details.why")?.setAttribute("data-read", "1");
  });

  // One stream a page; none while the page is hidden, since each list is an impression.
  const live = one("[data-live]");
  let source = null, failures = 0, timer = 0, seen = false;
  let paused = kept("paused") === "1";
  const state = (word) => {
    const label = one("[data-live-state]");
    if (!label) return;
    label.textContent = { live: "live", away: "not live: trying again", paused: "paused", connecting: "connecting" }[word] ?? word;
    label.parentElement.dataset.state = word;
  };
  const close = () => { clearTimeout(timer); source?.close(); source = null; };
  const open = () => {
    close();
    if (!live || document.hidden || paused) { if (live && paused) state("paused"); return; }
    source = new EventSource(live.dataset.live + (seen ? (live.dataset.live.includes("?") ? "&" : "?") + "again=1" : ""));
    seen = true;
    source.addEventListener("open", () => { failures = 0; });
    source.addEventListener("state", (event) => state(event.data));
    source.addEventListener("signed-out", (event) => { close(); location.assign(`${event.data}&next=${encodeURIComponent(location.pathname + location.search)}`); });
    source.addEventListener("play", () => document.body.dispatchEvent(new Event("segue:play")));
    for (const name of new Set(all("[data-on]").map((target) => target.dataset.on))) {
      source.addEventListener(name, (event) => all(`[data-on="${name}"]`).forEach((target) => place(target, event.data)));
    }
    source.addEventListener("error", () => {
      state("away");
      close();
      timer = setTimeout(open, [500, 1000, 2000, 5000, 10000][Math.min(failures++, 4)]);
    });
  };
  document.addEventListener("visibilitychange", open);
  addEventListener("pagehide", close);
  addEventListener("pageshow", (event) => { if (event.persisted) open(); });
  const pause = one("[data-pause]");
  const showPause = () => {
    if (!pause) return;
    pause.setAttribute("aria-pressed", String(paused));
    pause.textContent = paused ? "Resume updates" : "Pause updates";
  };
  pause?.addEventListener("click", () => { paused = !paused; keep("paused", paused ? "1" : ""); showPause(); open(); });
  showPause();
  open();

  // A page that could not be made tries again by itself, ever more slowly.
  if (one("[data-retry]")) {
    const tries = Number(new URLSearchParams(location.hash.slice(1)).get("tries") ?? 0);
    setTimeout(() => { location.hash = `tries=${tries + 1}`; location.reload(); }, Math.min(3000 * 2 ** tries, 30000));
  }

  // Keys; they can be switched off.
  let keys = kept("keys") !== "off";
  const toggle = one("[data-keys]");
  const showKeys = () => { if (toggle) toggle.textContent = keys ? "Switch them off" : "Switch them on"; };
  toggle?.addEventListener("click", () => { keys = !keys; keep("keys", keys ? "on" : "off"); showKeys(); });
  showKeys();
  let at = -1;
  document.addEventListener("keydown", (event) => {
    if (!keys || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest("input:not([type=checkbox],[type=range]),select,textarea")) return;
    const rows = all("[data-tracks] > li");
    const row = () => rows[at] ?? rows[0];
    const focus = (step) => {
      at = Math.max(0, Math.min(rows.length - 1, at + step));
      one("h2 a", rows[at])?.focus();
    };
    const act = {
      j: () => focus(1),
      k: () => focus(-1),
      l: () => row() && one("button[value=love]", row())?.click(),
      x: () => row() && one("button[value=hide]", row())?.click(),
      w: () => row() && one(".why summary", row())?.click(),
      t: () => all("details.figures").forEach((details) => { details.open = !details.open; }),
      "/": () => location.assign("/ui/search"),
      "?": () => location.assign("/ui/keys"),
    }[event.key];
    if (!act || ("jklxw".includes(event.key) && !rows.length)) return;
    event.preventDefault();
    act();
  });
})();
