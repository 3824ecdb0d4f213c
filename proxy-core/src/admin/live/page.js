'use strict';
// Draws what the stream tells. Text goes in as text alone, never as markup.

const KEPT = 120;
const GLYPHS = { available: '●', returning: '◐', ejected: '✕', unhealthy: '▲' };
const cards = new Map();
let before = null;

function make(tag, kind, ...inner) {
  const node = document.createElement(tag);
  if (kind) node.className = kind;
  node.append(...inner);
  return node;
}

function set(node, text, kind) {
  if (node.textContent !== text) node.textContent = text;
  if (kind !== undefined && node.className !== kind) node.className = kind;
}

function attribute(node, name, value) {
  if (node.getAttribute(name) !== value) node.setAttribute(name, value);
}

// As many children as there are items, each made once and filled anew.
function fill(parent, items, create, update) {
  while (parent.children.length > items.length) parent.lastElementChild.remove();
  items.forEach((item, index) => {
    if (!parent.children[index]) parent.append(create());
    update(parent.children[index], item);
  });
}

function number(value) {
  if (Number.isInteger(value)) return value.toLocaleString('en');
  if (value < 0.1) return '<0.1';
  return value < 10 ? value.toFixed(1) : Math.round(value).toLocaleString('en');
}

function time(ms) {
  if (ms < 0.05) return '<0.1 ms';
  if (ms < 10) return ms.toFixed(1) + ' ms';
  return ms < 1000 ? Math.round(ms) + ' ms' : (ms / 1000).toFixed(1) + ' s';
}

const clock = (stamp) => new Date(stamp).toLocaleTimeString('en-GB');
const plural = (count, one, many) => count + ' ' + (count === 1 ? one : many || one + 's');

// Pictures: lines over the last two minutes, the newest at the right.

function picture(kind) {
  const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
  for (const part of ['base', 'area', 'second', 'first']) {
    const path = document.createElementNS(svg.namespaceURI, 'path');
    path.setAttribute('class', part);
    svg.append(path);
  }
  attribute(svg, 'viewBox', '0 0 ' + (KEPT - 1) + ' 40');
  attribute(svg, 'preserveAspectRatio', 'none');
  attribute(svg, 'role', 'img');
  attribute(svg, 'class', kind || '');
  return svg;
}

function draw(tile, first, second, text, shown = number, full = 0) {
  const svg = tile.svg;
  const known = [...first, ...(second || [])].filter((value) => value !== null);
  const peak = Math.max(...known, 0);
  const most = full || peak || 1;
  const line = (values) => {
    let path = '';
    let pen = 'M';
    values.forEach((value, index) => {
      if (value === null) { pen = 'M'; return; }
      path += pen + (KEPT - values.length + index) + ' ' + (39 - 37 * value / most).toFixed(1);
      pen = 'L';
    });
    return path;
  };
  const [base, area, other, main] = svg.children;
  attribute(base, 'd', 'M0 39.5H' + (KEPT - 1));
  attribute(main, 'd', line(first));
  attribute(other, 'd', second ? line(second) : '');
  const start = KEPT - first.length;
  const filled = first.map((value, index) => (start + index) + ' ' + (39 - 37 * (value || 0) / most).toFixed(1));
  attribute(area, 'd', filled.length > 1 ? 'M' + start + ' 39L' + filled.join('L') + 'V39Z' : '');
  attribute(svg, 'aria-label', text + ', last two minutes, peak ' + shown(peak));
  set(tile.peak, !full && peak ? 'peak ' + shown(peak) : '');
}

function bar(share, low) {
  const inner = make('i');
  inner.style.width = Math.round(100 * Math.min(Math.max(share, 0), 1)) + '%';
  const outer = make('div', low ? 'meter low' : 'meter', inner);
  outer.setAttribute('aria-hidden', 'true');
  return outer;
}

// An entry: a head, notices, tiles with pictures, endpoints, failures.

function tile(title, kind) {
  const parts = {
    title: make('h3', '', title), peak: make('small', 'peak'), value: make('p', 'value'), more: make('p', 'more'), svg: picture(kind),
  };
  parts.node = make('div', 'tile', make('div', 'titles', parts.title, parts.peak), parts.value, parts.more, parts.svg);
  return parts;
}

function card(name) {
  const parts = {
    name: make('h2', '', name), badge: make('span', 'badge'), route: make('span', 'route'), notices: make('div'),
    requests: tile('Requests/s'), errors: tile('Errors/s', 'errors'), latency: tile('Latency'),
    retries: tile('Retries/s'), budget: tile('Retry budget'), load: tile('In flight'),
    rows: make('tbody'), known: make('h3'), failures: make('ul', 'failures'), history: [],
  };
  const tiles = ['requests', 'errors', 'latency', 'load', 'retries', 'budget'].map((tile) => parts[tile].node);
  const heads = ['Endpoint', 'State', 'Weight', 'In flight', 'Latency'].map((text) => {
    const head = make('th', '', text);
    head.scope = 'col';
    attribute(head, 'role', 'columnheader');
    return head;
  });
  const line = make('tr', '', ...heads);
  attribute(line, 'role', 'row');
  const table = make('table', '', make('thead', '', line), parts.rows);
  attribute(table, 'role', 'table');
  attribute(table, 'aria-label', 'Endpoints of ' + name);
  attribute(parts.failures, 'tabindex', '0');
  attribute(parts.failures, 'aria-label', 'Last failures of ' + name);
  parts.node = make('section', 'entry',
    make('div', 'head', parts.name, parts.badge, parts.route), parts.notices, make('div', 'tiles', ...tiles),
    make('div', 'lists', make('div', '', parts.known, table), make('div', '', make('h3', '', 'Last failures'), parts.failures)));
  attribute(parts.node, 'aria-label', 'Entry ' + name);
  return parts;
}

// A gateway's listener has no endpoints: its routes lead to entries of their own.
const isGateway = (entry) => !entry.leads_to.length;

function wayOf(entry) {
  if (isGateway(entry)) return entry.listens.join(', ') + ' → its routes';
  const idle = entry.name.split('/').includes('mirror') ? 'copies' : 'routes';
  return (entry.listens.join(', ') || idle) + ' → ' + entry.leads_to.join(', ');
}

function notices(entry) {
  const all = [];
  const { discovery, checks, rates } = entry;
  if (!discovery.settled) all.push(['warn', '◌ Not resolved yet.', 'The first look-up has not ended.']);
  else if (discovery.stale) {
    const kept = entry.endpoints_known ? 'The endpoints are those of the last good look-up. ' : '';
    all.push(['warn', '▲ Discovery is stale.', kept + discovery.why.join('; ')]);
  }
  if (discovery.settled && !entry.endpoints_known && !isGateway(entry)) all.push(['bad', '✕ No endpoint is known.', '']);
  else if (discovery.settled && entry.endpoints_known && !entry.endpoints_available) all.push(['bad', '✕ No endpoint is available.', 'Requests are sent to them all the same.']);
  if (checks && !checks.heeded) {
    const of = checks.failing + ' of ' + plural(entry.endpoints_known, 'endpoint');
    const fail = checks.failing === 1 ? ' fails its checks: ' : ' fail their checks: ';
    all.push(['bad', '▲ Health checks are not heeded.', of + fail + 'more than half, so that these say more of the checks. All get requests.']);
  }
  if (entry.tls_rejected) all.push(['bad', '✕ The TLS files were rejected; the former ones stay in use.', entry.tls_rejected]);
  if (rates && rates.denied > 0) all.push(['bad', '▲ The retry budget is spent.', number(rates.denied) + ' retries a second are not made.']);
  return all;
}

function drawNotices(parent, all) {
  fill(parent, all, () => make('p', 'notice', make('b'), make('span')), (node, [kind, what, why]) => {
    if (node.className !== 'notice ' + kind) node.className = 'notice ' + kind;
    set(node.children[0], what);
    set(node.children[1], why);
  });
}

function badge(entry, told) {
  const out = entry.endpoints_known - entry.endpoints_available;
  if (told.some(([kind]) => kind === 'bad')) return ['✕ in trouble', 'badge bad'];
  if (entry.rates && entry.rates.errors > 0) return ['✕ errors', 'badge bad'];
  if (out > 0) return ['▲ ' + plural(out, 'endpoint') + ' out', 'badge warn'];
  return told.length ? ['▲ look here', 'badge warn'] : ['● well', 'badge well'];
}

function tiles(parts, entry) {
  const rates = entry.rates;
  const shown = (value) => rates ? number(value) : '–';
  const history = parts.history;
  history.push({
    requests: rates ? rates.requests : null, errors: rates ? rates.errors : null, retries: rates ? rates.retries : null,
    p50: entry.latency_ms ? entry.latency_ms.p50 : null, p99: entry.latency_ms ? entry.latency_ms.p99 : null, load: entry.in_flight,
    budget: entry.budget && entry.budget.left,
  });
  if (history.length > KEPT) history.shift();
  const of = (key) => history.map((moment) => moment[key]);
  const totals = entry.totals;
  const what = entry.is_tcp ? 'Connections' : 'Requests';
  set(parts.requests.title, what + '/s');
  set(parts.requests.value, shown(rates && rates.requests));
  set(parts.requests.more, totals.requests.toLocaleString('en') + ' in all');
  draw(parts.requests, of('requests'), null, what + ' a second');
  const share = rates && rates.requests ? 100 * rates.errors / rates.requests : 0;
  set(parts.errors.value, shown(rates && rates.errors), rates && rates.errors ? 'value bad' : 'value');
  set(parts.errors.more, (share ? number(share) + ' %, ' : '') + totals.errors.toLocaleString('en') + ' in all');
  draw(parts.errors, of('errors'), null, 'Errors a second');
  parts.latency.node.hidden = entry.is_tcp;
  set(parts.latency.value, entry.latency_ms ? time(entry.latency_ms.p99) : '–');
  set(parts.latency.more, entry.latency_ms ? '─ p99 ┄ p50 ' + time(entry.latency_ms.p50) : 'no request of late');
  draw(parts.latency, of('p99'), of('p50'), 'Latency, p99 and p50', time);
  set(parts.retries.value, shown(rates && rates.retries));
  set(parts.retries.more, totals.retries.toLocaleString('en') + ' in all');
  draw(parts.retries, of('retries'), null, 'Retries a second');
  set(parts.load.value, entry.in_flight.toLocaleString('en'));
  draw(parts.load, of('load'), null, 'In flight');
  const budget = !isGateway(entry) && entry.budget;
  parts.budget.node.hidden = !budget;
  if (budget) {
    set(parts.budget.value, number(Math.floor(budget.left)), budget.left < 1 ? 'value bad' : 'value');
    set(parts.budget.more, 'left of ' + budget.most + ', and ' + budget.floor + '/s');
    draw(parts.budget, of('budget'), null, 'Retries that are left', number, budget.most);
  }
}

function row() {
  const cells = [['address'], ['state'], ['weight', 'weight'], ['load', 'in flight'], ['latency', 'latency']];
  const node = make('tr', '', ...cells.map(([, name]) => {
    const cell = make('td');
    attribute(cell, 'role', 'cell');
    if (name) cell.dataset.name = name;
    if (name === 'weight') cell.className = name;
    return cell;
  }));
  attribute(node, 'role', 'row');
  return node;
}

function stateOf(endpoint, checks) {
  if (endpoint.state === 'returning') return ['returning', 'with ' + Math.round(100 * endpoint.share) + ' % of its share'];
  if (endpoint.state === 'ejected') return ['ejected', 'back in ' + Math.ceil(endpoint.back_in_s) + ' s'];
  if (endpoint.state === 'unhealthy') return ['unhealthy', checks && !checks.heeded ? 'not heeded' : ''];
  return ['available', ''];
}

const reasonOf = (failure) => failure.reason === 'status' ? failure.detail : failure.reason;

function drawEndpoints(parts, entry) {
  const all = entry.endpoints;
  const slowest = Math.max(...all.map((endpoint) => endpoint.latency_ms), 0.001);
  const fullest = Math.max(...all.map((endpoint) => endpoint.in_flight), 1);
  const tiers = new Set(all.map((endpoint) => endpoint.tier)).size > 1;
  const rest = entry.endpoints_known - all.length;
  parts.known.parentNode.hidden = isGateway(entry);
  set(parts.known, 'Endpoints: ' + entry.endpoints_available + ' of ' + entry.endpoints_known + ' available'
    + (rest ? ', ' + rest + ' not shown' : ''));
  fill(parts.rows, all, row, (node, endpoint) => {
    const [address, state, weight, load, latency] = node.children;
    const [name, more] = stateOf(endpoint, entry.checks);
    const failure = entry.failures.find((failure) => failure.endpoint === endpoint.address);
    const why = endpoint.check ? 'check: ' + endpoint.check : name !== 'available' && failure ? reasonOf(failure) : '';
    const called = endpoint.authority === endpoint.address ? '' : endpoint.authority;
    address.replaceChildren(endpoint.address, ...(called ? [make('small', '', called)] : []));
    state.replaceChildren(make('span', 'state ' + name, GLYPHS[name] + ' ' + name),
      ...[more, why].filter(Boolean).map((text) => make('small', '', text)));
    set(weight, endpoint.weight + (tiers ? ', tier ' + endpoint.tier : ''));
    load.replaceChildren(String(endpoint.in_flight), bar(endpoint.in_flight / fullest));
    latency.replaceChildren(endpoint.latency_ms ? time(endpoint.latency_ms) : '–', bar(endpoint.latency_ms / slowest));
  });
}

function drawFailures(parts, entry) {
  const create = () => make('li', '', make('div', 'row', make('span', 'at'), make('b'), make('span')), make('span', 'dim'), make('span', 'dim'));
  const what = entry.is_tcp ? 'connection' : 'request';
  fill(parts.failures, entry.failures, create, (node, failure) => {
    const [head, detail, counts] = node.children;
    set(head.children[0], clock(failure.at));
    set(head.children[1], reasonOf(failure));
    set(head.children[2], failure.endpoint || '');
    set(detail, failure.reason === 'status' ? 'the service answered with it' : failure.detail);
    const tries = failure.tries ? plural(failure.tries, 'try', 'tries') : '';
    const told = failure.told ? plural(failure.told, what) + ' ended so' : 'no ' + what + ' ended so';
    set(counts, [tries, told].filter(Boolean).join(', '));
  });
  attribute(parts.failures, 'data-none', entry.failures.length ? '' : 'none so far');
}

// The process.

function facts(now) {
  const all = ['version ' + now.version, now.draining ? '✕ draining' : now.unready.length ? '▲ not ready: waits for ' + now.unready.join(', ') : '● ready'];
  const reloads = now.reload.ok + now.reload.rejected;
  if (!now.reload.succeeded) all.push('✕ last reload rejected');
  else all.push(reloads ? '● last reload well (' + plural(now.reload.ok, 'reload') + ')' : 'no reload yet');
  if (before && now.cpu_seconds !== null) {
    const passed = (new Date(now.at) - new Date(before.at)) / 1000;
    if (passed > 0) all.push('CPU ' + Math.round(100 * (now.cpu_seconds - before.cpu_seconds) / passed) + ' %');
  }
  if (now.memory_bytes !== null) all.push('memory ' + (now.memory_bytes / 1048576).toFixed(1) + ' MiB');
  return all;
}

function render(now) {
  set(document.getElementById('role'), now.role);
  fill(document.getElementById('facts'), facts(now), () => make('span'), set);
  const told = [];
  if (now.reload.errors) told.push(['bad', '✕ The latest reload was rejected; what ran before still runs.', now.reload.errors]);
  if (now.access_log_dropped) told.push(['warn', '▲ The access log has lost lines.', now.access_log_dropped + ' so far: its reader is too slow.']);
  drawNotices(document.getElementById('notices'), told);
  const parent = document.getElementById('entries');
  for (const [name, parts] of cards) {
    if (!now.entries.some((entry) => entry.name === name)) { parts.node.remove(); cards.delete(name); }
  }
  let troubled = 0;
  now.entries.forEach((entry, index) => {
    if (!cards.has(entry.name)) cards.set(entry.name, card(entry.name));
    const parts = cards.get(entry.name);
    if (parent.children[index] !== parts.node) parent.insertBefore(parts.node, parent.children[index] || null);
    const own = notices(entry);
    const [text, kind] = badge(entry, own);
    troubled += kind === 'badge well' ? 0 : 1;
    set(parts.badge, text, kind);
    set(parts.route, wayOf(entry));
    drawNotices(parts.notices, own);
    tiles(parts, entry);
    drawEndpoints(parts, entry);
    drawFailures(parts, entry);
  });
  const title = (troubled ? '(' + troubled + ') ' : '') + 'Remora ' + now.role;
  if (document.title !== title) document.title = title;
  before = now;
}

// The stream. It rests while the page is out of sight.

let stream = null;
let again = 0;

function link(text, kind) {
  set(document.getElementById('link'), text, kind);
  document.body.classList.toggle('stopped', kind !== 'badge well');
}

function open() {
  clearTimeout(again);
  if (stream || document.hidden) return;
  stream = new EventSource('live');
  stream.onmessage = (event) => {
    const now = JSON.parse(event.data);
    render(now);
    if (now.draining) link('✕ draining', 'badge bad');
    else link('● live', 'badge well');
  };
  stream.onerror = () => {
    const drains = before && before.draining;
    close();
    link(drains ? '✕ drained, trying again' : '✕ no connection, trying again', 'badge bad');
    again = setTimeout(open, 3000);
  };
}

function close() {
  if (stream) stream.close();
  stream = null;
}

document.addEventListener('visibilitychange', () => {
  if (document.hidden) { close(); link('◌ resting', 'badge warn'); } else open();
});
addEventListener('pagehide', close);
addEventListener('pageshow', open);
open();
