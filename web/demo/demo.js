// The notification centre of /demo: plain modules, no build. Everything that
// people wrote goes in by textContent.

const $ = id => document.getElementById(id);
const pages = ['inbox', 'preferences'];
const logins = ['owner', 'admin', 'editor', 'viewer'].map(name => `${name}@acme.example`);
const per_page = 20;
const poll_every = 15_000;
/// Also while live: what a lost event told of is seen a minute later.
const polls_between_when_live = 4;
const categories = ['content', 'engagement', 'team', 'billing', 'social', 'support', 'data', 'system'];
const channels = [['in_app_enabled', 'in the app'], ['email_enabled', 'by e-mail'], ['push_enabled', 'by push'], ['sms_enabled', 'as a text']];

let config = {frontend_url: '', live_key: ''};
let token = localStorage.getItem('carillon-demo-token');
let user = null;
let page = 1;
let last_page = 1;
let arrived = new Set();

// -- the API --------------------------------------------------------------------

class refused extends Error {
  constructor(status, body) {
    const first = body && body.errors && Object.values(body.errors)[0];
    super(first ? first[0] : (body && body.message) || `The server answered ${status}.`);
    this.status = status;
  }
}

async function api(method, path, body) {
  const headers = {Accept: 'application/json'};
  if (token)
    headers.Authorization = `Bearer ${token}`;
  if (body !== undefined)
    headers['Content-Type'] = 'application/json';
  let answer;
  try {
    answer = await fetch(`/api/v1${path}`, {method, headers, body: body === undefined ? undefined : JSON.stringify(body)});
  } catch {
    throw new refused(0, {message: 'The server cannot be reached.'});
  }
  const said = await answer.json().catch(() => null);
  if (answer.status === 401 && token && path !== '/auth/login')
    forget();
  if (!answer.ok)
    throw new refused(answer.status, said);
  return said;
}

/// Null where this installation does not have the route.
async function optional(path) {
  try {
    return (await api('GET', path)).data;
  } catch (error) {
    if (error.status === 404 || error.status === 405)
      return null;
    throw error;
  }
}

// -- small things -----------------------------------------------------------------

function make(tag, options = {}, ...children) {
  const out = document.createElement(tag);
  for (const [name, value] of Object.entries(options))
    if (name === 'class')
      out.className = value;
    else if (name.startsWith('on'))
      out.addEventListener(name.slice(2), value);
    else if (name in out)
      out[name] = value;
    else
      out.setAttribute(name, value);
  out.append(...children.filter(child => child !== null && child !== undefined));
  return out;
}

const relative = new Intl.RelativeTimeFormat('en', {numeric: 'auto'});
function ago(text) {
  const seconds = (new Date(text) - Date.now()) / 1000;
  for (const [unit, size] of [['day', 86400], ['hour', 3600], ['minute', 60]])
    if (Math.abs(seconds) >= size)
      return relative.format(Math.round(seconds / size), unit);
  return 'just now';
}

function toast(title, text = '') {
  const box = make('div', {class: 'toast'}, make('strong', {textContent: title}), text);
  $('toasts').append(box);
  while ($('toasts').children.length > 3)
    $('toasts').firstChild.remove();
  setTimeout(() => box.remove(), 7000);
}

function fail(error) {
  if (error.status !== 401)
    toast('That did not work', error.message);
}

/// One at a time; asked again meanwhile, it runs once more.
function one_at_a_time(work) {
  let running = null;
  let again = false;
  return function run() {
    if (running) {
      again = true;
      return running;
    }
    running = work().catch(fail).finally(() => {
      running = null;
      if (again) {
        again = false;
        run();
      }
    });
    return running;
  };
}

// -- log-in -----------------------------------------------------------------------

function forget() {
  token = null;
  user = null;
  localStorage.removeItem('carillon-demo-token');
  live.stop();
  show();
}

async function log_in(email, password) {
  const {data} = await api('POST', '/auth/login', {email, password});
  token = data.token;
  localStorage.setItem('carillon-demo-token', token);
  await enter();
}

async function enter() {
  user = (await api('GET', '/user')).data;
  $('who').textContent = user.email;
  live.start();
  show();
  await Promise.all([refresh_badge(), refresh_list()]);
}

function show() {
  const wanted = location.hash.slice(1);
  const current = !user ? 'login' : pages.includes(wanted) ? wanted : 'inbox';
  for (const name of ['login', ...pages])
    $(`page-${name}`).hidden = name !== current;
  $('nav').hidden = $('tools').hidden = !user;
  for (const link of $('nav').children)
    if (link.hash === `#${current}`)
      link.setAttribute('aria-current', 'page');
    else
      link.removeAttribute('aria-current');
  close_bell();
  if (current === 'preferences')
    show_preferences().catch(fail);
}

// -- the list ---------------------------------------------------------------------

function query() {
  const out = new URLSearchParams({page, per_page});
  for (const [name, value] of new FormData($('filters')))
    if (value)
      out.set(name, value);
  return out;
}

async function explain(notice, box, button) {
  if (!box.hidden) {
    box.hidden = true;
    button.setAttribute('aria-expanded', 'false');
    return;
  }
  const deliveries = await optional(`/notifications/${notice.id}/deliveries`);
  const rows = Array.isArray(deliveries) ? deliveries : (deliveries && deliveries.deliveries) || [];
  box.replaceChildren(...rows.map(row => make('li', {textContent: `${row.channel.replace('_', '-')}: ${row.state}${row.reason ? ` (${row.reason})` : ''}`})));
  if (rows.length === 0)
    box.append(make('li', {textContent: 'Nothing is known of its deliveries.'}));
  box.hidden = false;
  button.setAttribute('aria-expanded', 'true');
}

function item_of(notice, in_panel) {
  const unread = !notice.is_read;
  const why = make('ul', {class: 'plain why', hidden: true});
  const meta = make('div', {class: 'meta'},
    notice.is_urgent ? make('span', {class: 'urgent-mark', textContent: 'urgent'}) : null,
    make('span', {textContent: notice.type_label}),
    make('time', {dateTime: notice.created_at, title: new Date(notice.created_at).toLocaleString(), textContent: ago(notice.created_at)}),
    notice.action_url ? make('a', {href: config.frontend_url + notice.action_url, rel: 'noreferrer', textContent: 'Open'}) : null);
  if (!in_panel) {
    const button = make('button', {class: 'link', type: 'button', textContent: 'Where did it go?', 'aria-expanded': 'false',
      onclick: () => explain(notice, why, button).catch(fail)});
    meta.append(button);
  }
  return make('li', {class: `item${unread ? ' unread' : ''}${arrived.has(notice.id) ? ' arrived' : ''}`, 'data-id': notice.id},
    make('span', {class: 'dot', 'aria-hidden': 'true'}),
    make('div', {},
      make('div', {class: 'title'}, unread ? make('span', {class: 'hidden', textContent: 'Unread: '}) : null, notice.title),
      make('p', {textContent: notice.message}), meta, in_panel ? null : why),
    unread ? make('button', {class: 'link', type: 'button', textContent: 'Mark as read', 'aria-label': `Mark as read: ${notice.title}`,
      onclick: event => mark(notice.id, event.currentTarget).catch(fail)}) : make('span'));
}

const refresh_list = one_at_a_time(async () => {
  if (!user)
    return;
  $('list').setAttribute('aria-busy', 'true');
  const asked = query();
  const {data, meta} = await api('GET', `/notifications?${asked}`);
  last_page = meta.last_page;
  if (page > last_page) {
    page = last_page;
    return refresh_list();
  }
  // What has the focus keeps it.
  const focused = document.activeElement && document.activeElement.closest('#list .item');
  const id = focused && focused.dataset.id;
  $('list').replaceChildren(...data.map(notice => item_of(notice, false)));
  if (id) {
    const again = $('list').querySelector(`[data-id="${CSS.escape(id)}"]`);
    const target = again && again.querySelector('button, a');
    if (target)
      target.focus();
  }
  arrived = new Set();
  $('list').setAttribute('aria-busy', 'false');
  const filtered = [...asked.keys()].length > 2;
  $('empty').hidden = data.length > 0;
  $('empty').textContent = filtered ? 'No notification matches.' : 'No notifications yet. They appear here as they arrive.';
  $('newer').disabled = page <= 1;
  $('older').disabled = page >= last_page;
  $('page-text').textContent = meta.total ? `${meta.from}–${meta.to} of ${meta.total}` : '';
});

const refresh_badge = one_at_a_time(async () => {
  if (!user)
    return;
  const {data} = await api('GET', '/notifications/unread-count');
  $('badge').hidden = data.count === 0;
  $('badge').textContent = data.count > 99 ? '99+' : data.count;
  $('bell-text').textContent = data.count === 0 ? 'No unread notifications' : `${data.count} unread notifications`;
  document.title = `${data.count ? `(${data.count}) ` : ''}Notifications · Carillon`;
});

function refresh() {
  if (!$('bell-panel').hidden)
    fill_bell().catch(fail);
  return Promise.all([refresh_badge(), refresh_list()]);
}

/// Reading is no live event.
function tell_other_tabs() {
  localStorage.setItem('carillon-demo-read', String(Date.now()));
}

async function mark(id, button) {
  button.disabled = true;
  const item = button.closest('.item');
  const next = item.nextElementSibling || item.previousElementSibling;
  await api('POST', `/notifications/${id}/read`);
  tell_other_tabs();
  await refresh();
  if (next && document.activeElement === document.body) {
    const target = document.querySelector(`#list [data-id="${CSS.escape(next.dataset.id)}"] button`);
    if (target)
      target.focus();
  }
}

async function mark_all() {
  const {data} = await api('POST', '/notifications/read-all');
  tell_other_tabs();
  toast(data.marked_count === 1 ? '1 notification marked as read' : `${data.marked_count} notifications marked as read`);
  await refresh();
}

// -- the bell ---------------------------------------------------------------------

async function fill_bell() {
  const {data} = await api('GET', '/notifications/recent?limit=8');
  $('bell-list').replaceChildren(...data.map(notice => item_of(notice, true)));
  if (data.length === 0)
    $('bell-list').append(make('li', {class: 'item'}, make('span'), 'Nothing yet.'));
}

function close_bell(focus = false) {
  if ($('bell-panel').hidden)
    return;
  $('bell-panel').hidden = true;
  $('bell').setAttribute('aria-expanded', 'false');
  if (focus)
    $('bell').focus();
}

async function toggle_bell() {
  if (!$('bell-panel').hidden)
    return close_bell(true);
  await fill_bell();
  $('bell-panel').hidden = false;
  $('bell').setAttribute('aria-expanded', 'true');
  $('bell-read-all').focus();
}

// -- live -------------------------------------------------------------------------

/// The Pusher protocol as far as one private channel needs it; while there is
/// no connection, the list is fetched every few seconds.
const live = {
  socket: null, wanted: false, tries: 0, timer: null, poller: null, quiet: null,

  start() {
    this.wanted = true;
    this.connect();
    this.poller ??= setInterval(() => {
      this.polls = (this.polls || 0) + 1;
      if (!document.hidden && (!this.on() || this.polls % polls_between_when_live === 0))
        refresh();
    }, poll_every);
  },

  stop() {
    this.wanted = false;
    clearTimeout(this.timer);
    clearTimeout(this.quiet);
    clearInterval(this.poller);
    this.poller = null;
    if (this.socket)
      this.socket.close();
    this.socket = null;
    this.say(false);
  },

  on() {
    return $('live').classList.contains('on');
  },

  say(on) {
    $('live').classList.toggle('on', on);
    $('live-text').textContent = on ? 'live' : 'polling';
  },

  connect() {
    if (!this.wanted || this.socket || !config.live_key)
      return this.say(false);
    const scheme = location.protocol === 'https:' ? 'wss' : 'ws';
    const socket = new WebSocket(`${scheme}://${location.host}/app/${encodeURIComponent(config.live_key)}?protocol=7&client=carillon-demo&version=1&flash=false`);
    this.socket = socket;
    socket.onmessage = event => this.hear(socket, JSON.parse(event.data)).catch(fail);
    socket.onclose = () => {
      if (this.socket !== socket)
        return;
      this.socket = null;
      clearTimeout(this.quiet);
      this.say(false);
      if (this.wanted)
        this.timer = setTimeout(() => this.connect(), Math.min(30_000, 500 * 2 ** this.tries++) * (0.75 + Math.random() / 2));
    };
  },

  /// A connection that says nothing, not even pong, is dead.
  listen(socket, seconds) {
    clearTimeout(this.quiet);
    this.quiet = setTimeout(() => {
      socket.send(JSON.stringify({event: 'pusher:ping', data: {}}));
      this.quiet = setTimeout(() => socket.close(), 10_000);
    }, seconds * 1000);
  },

  async hear(socket, frame) {
    const data = typeof frame.data === 'string' && frame.data ? JSON.parse(frame.data) : frame.data;
    this.seconds = frame.event === 'pusher:connection_established' ? data.activity_timeout || 30 : this.seconds || 30;
    this.listen(socket, this.seconds);
    const channel = `private-user.${user.id}`;
    if (frame.event === 'pusher:connection_established') {
      const answer = await fetch('/api/broadcasting/auth', {
        method: 'POST', headers: {Authorization: `Bearer ${token}`},
        body: new URLSearchParams({socket_id: data.socket_id, channel_name: channel}),
      });
      if (!answer.ok)
        return socket.close();
      socket.send(JSON.stringify({event: 'pusher:subscribe', data: {channel, auth: (await answer.json()).auth}}));
    } else if (frame.event === 'pusher_internal:subscription_succeeded') {
      this.tries = 0;
      this.say(true);
      await refresh(); // what came while there was no connection
    } else if (frame.event === 'pusher:ping') {
      socket.send(JSON.stringify({event: 'pusher:pong', data: {}}));
    } else if (frame.event === 'notification.new') {
      arrived.add(data.id);
      toast(data.title, data.message);
      await refresh();
    }
  },
};

// -- preferences ------------------------------------------------------------------

async function show_preferences() {
  await Promise.all([show_grid(), show_phone(), show_quiet(), show_push()]);
}

async function show_grid() {
  const {data} = await api('GET', '/notifications/preferences');
  for (const body of $('grid').querySelectorAll('tbody'))
    body.remove();
  for (const category of categories) {
    const rows = data.filter(one => one.category === category);
    if (rows.length === 0)
      continue;
    const body = make('tbody', {}, make('tr', {}, make('th', {class: 'group', scope: 'rowgroup', colSpan: 5, textContent: category[0].toUpperCase() + category.slice(1)})));
    for (const one of rows) {
      const row = make('tr', {}, make('th', {scope: 'row', textContent: one.notification_type_label}));
      for (const [name, text] of channels)
        row.append(make('td', {}, make('input', {type: 'checkbox', checked: one[name], 'aria-label': `${one.notification_type_label} ${text}`,
          onchange: event => set_preference(one, name, event.target)})));
      body.append(row);
    }
    $('grid').append(body);
  }
}

async function set_preference(one, name, box) {
  const wanted = box.checked;
  $('grid-said').textContent = 'Saving…';
  try {
    const change = {notification_type: one.notification_type};
    for (const [other] of channels)
      change[other] = other === name ? wanted : one[other];
    const {data} = await api('PUT', '/notifications/preferences', change);
    Object.assign(one, data);
    $('grid-said').textContent = 'Saved.';
  } catch (error) {
    box.checked = !wanted;
    $('grid-said').textContent = error.message;
  }
}

async function show_phone() {
  const phone = await optional('/notifications/phone');
  $('phone').hidden = !phone;
  if (phone)
    $('phone').elements.phone.value = phone.phone || '';
}

async function save_phone() {
  try {
    const {data} = await api('PUT', '/notifications/phone', {phone: $('phone').elements.phone.value.trim() || null});
    $('phone').elements.phone.value = data.phone || '';
    $('phone-said').textContent = data.phone ? `Texts go to ${data.phone}.` : 'No number: no texts.';
  } catch (error) {
    $('phone-said').textContent = error.message;
  }
}

let digest_periods = ['off', 'hourly', 'daily'];
let settings = null;

async function show_quiet() {
  settings = await optional('/notifications/settings');
  $('quiet').hidden = !settings;
  if (!settings)
    return;
  const form = $('quiet').elements;
  const quiet = settings.quiet_hours || {};
  form.enabled.checked = Boolean(quiet.enabled);
  form.start.value = quiet.start || '22:00';
  form.end.value = quiet.end || '07:00';
  $('quiet-zone').textContent = settings.time_zone ? `in ${settings.time_zone}` : '';
  const digests = settings.digests || {};
  $('digests').replaceChildren(...categories.map(category => make('label', {}, `Digest: ${category}`,
    make('select', {name: `digest-${category}`}, ...digest_periods.map(period =>
      make('option', {value: period, textContent: period, selected: (digests[category] || 'off') === period}))))));
}

async function save_quiet() {
  const form = $('quiet').elements;
  const digests = {};
  for (const category of categories)
    digests[category] = form[`digest-${category}`].value;
  try {
    const body = {quiet_hours: {enabled: form.enabled.checked, start: form.start.value, end: form.end.value}, digests};
    await api('PUT', '/notifications/settings', body);
    $('quiet-said').textContent = 'Saved.';
  } catch (error) {
    $('quiet-said').textContent = error.message;
  }
}

// -- push -------------------------------------------------------------------------

const can_push = 'serviceWorker' in navigator && 'PushManager' in window && 'Notification' in window;

function bytes_of(base64url) {
  const text = atob(base64url.replace(/-/g, '+').replace(/_/g, '/') + '='.repeat((4 - base64url.length % 4) % 4));
  return Uint8Array.from(text, c => c.charCodeAt(0));
}

async function own_subscription() {
  if (!can_push)
    return null;
  const registration = await navigator.serviceWorker.getRegistration('/demo/');
  return registration ? registration.pushManager.getSubscription() : null;
}

async function show_push() {
  const [key, all, own] = await Promise.all([optional('/notifications/push/public-key'), optional('/notifications/push/subscriptions'), own_subscription()]);
  const list = all || [];
  const known = Boolean(own && list.some(one => one.endpoint === own.endpoint));
  const button = $('push-toggle');
  button.disabled = false;
  button.dataset.on = known;
  button.textContent = known ? 'Stop push messages here' : 'Allow push messages';
  if (!key) {
    $('push-text').textContent = 'Push is not set up on this server.';
    button.disabled = true;
  } else if (!can_push) {
    $('push-text').textContent = 'This browser has no push messages, or the page is not on HTTPS or localhost.';
    button.disabled = true;
  } else if (Notification.permission === 'denied' && !known) {
    $('push-text').textContent = 'You have blocked notifications of this page in the browser.';
    button.disabled = true;
  } else {
    $('push-text').textContent = known ? 'Push messages reach this browser, also when the page is closed. Turn on "Push" below for what you want.'
      : 'Get notifications on this device when the page is closed.';
  }
  $('browsers').replaceChildren(...list.map(one => make('li', {},
    make('span', {textContent: `${own && own.endpoint === one.endpoint ? 'This browser' : new URL(one.endpoint).host}, since ${new Date(one.created_at).toLocaleDateString()}${one.failures ? `, ${one.failures} failures` : ''}`}),
    make('button', {type: 'button', class: 'link', textContent: 'Remove', 'aria-label': `Remove the browser at ${new URL(one.endpoint).host}`,
      onclick: () => api('DELETE', '/notifications/push/subscriptions', {endpoint: one.endpoint}).then(show_push).catch(fail)}))));
}

async function toggle_push() {
  const button = $('push-toggle');
  button.disabled = true;
  try {
    if (button.dataset.on === 'true') {
      const own = await own_subscription();
      if (own) {
        await api('DELETE', '/notifications/push/subscriptions', {endpoint: own.endpoint});
        await own.unsubscribe();
      }
      return;
    }
    if (await Notification.requestPermission() !== 'granted')
      return toast('Push messages are not allowed', 'The browser said no.');
    await subscribe();
  } finally {
    await show_push();
  }
}

async function subscribe() {
  const {data} = await api('GET', '/notifications/push/public-key');
  await navigator.serviceWorker.register('/demo/push-worker.js', {scope: '/demo/'});
  const registration = await navigator.serviceWorker.getRegistration('/demo/');
  const worker = registration.active || registration.waiting || registration.installing;
  if (worker.state !== 'activated')
    await new Promise(resolve => worker.addEventListener('statechange', () => worker.state === 'activated' && resolve()));
  const key = bytes_of(data.public_key);
  const old = await registration.pushManager.getSubscription();
  // Of another key: the server could not send to it.
  if (old && old.options.applicationServerKey && String(new Uint8Array(old.options.applicationServerKey)) !== String(key))
    await old.unsubscribe();
  const own = await registration.pushManager.subscribe({userVisibleOnly: true, applicationServerKey: key});
  await api('POST', '/notifications/push/subscriptions', own.toJSON());
}

// -- wiring -----------------------------------------------------------------------

$('login').addEventListener('submit', async event => {
  event.preventDefault();
  const {email, password} = event.target.elements;
  $('login-problem').textContent = '';
  try {
    await log_in(email.value, password.value);
    password.value = '';
    $('main').focus({preventScroll: true});
  } catch (error) {
    $('login-problem').textContent = error.message;
  }
});
for (const email of logins)
  $('demo-logins').append(make('button', {type: 'button', class: 'link', textContent: email.split('@')[0], 'aria-label': `Fill in the log-in of ${email}`, onclick: () => {
    $('login').elements.email.value = email;
    $('login').elements.password.value = 'User@1234';
    $('login').querySelector('.main').focus();
  }}));
for (const category of categories)
  $('filters').elements.category.append(make('option', {value: category, textContent: category}));

let typing;
$('filters').addEventListener('input', event => {
  page = 1;
  clearTimeout(typing);
  typing = setTimeout(refresh_list, event.target.name === 'search' ? 250 : 0);
});
$('filters').addEventListener('submit', event => event.preventDefault());
$('newer').addEventListener('click', () => { page = Math.max(1, page - 1); refresh_list(); });
$('older').addEventListener('click', () => { page = Math.min(last_page, page + 1); refresh_list(); });
$('read-all').addEventListener('click', () => mark_all().catch(fail));
$('bell-read-all').addEventListener('click', () => mark_all().catch(fail));
$('bell').addEventListener('click', () => toggle_bell().catch(fail));
$('log-out').addEventListener('click', () => api('POST', '/auth/logout').catch(() => {}).finally(forget));
$('phone').addEventListener('submit', event => { event.preventDefault(); save_phone(); });
$('quiet').addEventListener('submit', event => { event.preventDefault(); save_quiet(); });
$('push-toggle').addEventListener('click', () => toggle_push().catch(fail));
document.addEventListener('keydown', event => event.key === 'Escape' && close_bell(true));
document.addEventListener('click', event => event.target.closest('.bell-box') || !event.target.isConnected || close_bell());
document.addEventListener('visibilitychange', () => document.hidden || !user || refresh());
window.addEventListener('hashchange', show);
// Another tab logged in or out.
window.addEventListener('storage', event => {
  if (event.key === 'carillon-demo-token')
    location.reload();
  else if (event.key === 'carillon-demo-read' && user)
    refresh();
});
if ('serviceWorker' in navigator)
  navigator.serviceWorker.addEventListener('message', event => event.data === 'subscription-changed' && user && subscribe().catch(fail));

config = await fetch('/demo/config.json').then(answer => answer.json()).catch(() => config);
if (token)
  await enter().catch(error => { if (error.status !== 401) { forget(); fail(error); } });
show();
