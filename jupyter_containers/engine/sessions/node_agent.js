// The Node agent of a session: cells run through V8's inspector, as in a browser's console, so that
// `await` works at the top and `const` may be declared again. Node 14 and newer; no packages.
// "@MARK@" is replaced before it is sent. Protocol: docs/extensions/session-protocol.md ("marked").
'use strict';
const fs = require('fs');
const inspector = require('inspector');
const util = require('util');
const vm = require('vm');
const { Readable } = require('stream');

const MARK = '\x1e@MARK@';
const pause = new Int32Array(new SharedArrayBuffer(4));
let count = 0;
let waiting = null; // rejects the cell that waits for a promise
let displays = 0;

// -- messages ------------------------------------------------------------------------------------

function write(descriptor, data) {
  let rest = Buffer.from(data);
  while (rest.length) {
    try {
      rest = rest.subarray(fs.writeSync(descriptor, rest));
    } catch (error) {
      if (error.code !== 'EAGAIN') throw error;
      Atomics.wait(pause, 0, 0, 2);
    }
  }
}

const send = (type, fields = {}) => write(1, `${MARK}${JSON.stringify({ ...fields, type })}\n`);

function exactly(size) {
  const data = Buffer.alloc(size);
  let at = 0;
  while (at < size) {
    try {
      const read = fs.readSync(0, data, at, size - at, null);
      if (read === 0) return null;
      at += read;
    } catch (error) {
      if (error.code === 'EOF') return null;
      if (error.code !== 'EAGAIN') throw error;
      Atomics.wait(pause, 0, 0, 2);
    }
  }
  return data;
}

function parsed(text, body) {
  return { ...JSON.parse(text.toString('utf8')), body };
}

/** Wait for one message while a cell runs. */
function message() {
  const head = exactly(8);
  if (head === null) end();
  return parsed(exactly(head.readUInt32BE(0)), exactly(head.readUInt32BE(4)));
}

function end() {
  try {
    process.kill(1, 'SIGTERM'); // ends the container, if this user may
  } catch {}
  process.exit(0);
}

// -- displays ------------------------------------------------------------------------------------

const METHODS = {
  _toHtml: 'text/html',
  _toSvg: 'image/svg+xml',
  _toMarkdown: 'text/markdown',
  _toPng: 'image/png',
  _toJpeg: 'image/jpeg',
};

/** Return a value's MIME bundle; the methods are those of IJavascript's values. */
function bundle(value) {
  const data = {};
  if (value !== null && typeof value === 'object') {
    if (typeof value._toMime === 'function') Object.assign(data, value._toMime());
    for (const [name, mime] of Object.entries(METHODS)) {
      if (typeof value[name] === 'function') data[mime] = value[name]();
    }
    for (const [mime, found] of Object.entries(data)) {
      if (Buffer.isBuffer(found)) data[mime] = found.toString('base64');
    }
  }
  if (data['text/plain'] === undefined) data['text/plain'] = util.inspect(value);
  return data;
}

function display(value, options = {}) {
  const id = options.display_id === true ? `session-${process.pid}-${++displays}` : options.display_id;
  const update = Boolean(options.update);
  send('display', { data: options.raw ? value : bundle(value), metadata: options.metadata || {}, display_id: id, update });
  return id && { display_id: id, update: (other, more) => void display(other, { ...more, display_id: id, update: true }) };
}

// -- what cells see ------------------------------------------------------------------------------

function ask(text, hidden) {
  send('input_request', { prompt: String(text), password: hidden });
  const { text: reply } = message();
  return reply === undefined ? null : reply;
}

for (const [name, descriptor] of [['stdout', 1], ['stderr', 2]]) {
  process[name].write = (data, encoding, done) => {
    write(descriptor, typeof data === 'string' ? Buffer.from(data, typeof encoding === 'string' ? encoding : 'utf8') : data);
    const callback = typeof encoding === 'function' ? encoding : done;
    if (callback) process.nextTick(callback);
    return true;
  };
}
/** Lines that the user is asked for, each when a cell reads it. */
class Lines extends Readable {
  _read() {
    setImmediate(() => {
      if (this.isPaused() || !waiting) {
        this.once('resume', () => this._read());
        return;
      }
      const line = ask('', false);
      this.push(line === null ? null : `${line}\n`);
    });
  }
}

const input = process.stdin; // the requests
Object.defineProperty(process, 'stdin', { value: new Lines({ highWaterMark: 1 }), configurable: true });
Object.assign(globalThis, {
  require: require('module').createRequire(`${process.cwd()}/cell.js`),
  display,
  clear_output: (wait = false) => send('clear', { wait }),
  prompt: (text = '') => ask(text, false),
});
const exit = process.exit;
process.exit = (code = 0) => {
  throw new Error(`exit(${code}): a session ends with stop`);
};

// -- cells ---------------------------------------------------------------------------------------

const session = new inspector.Session();
session.connect();

function post(method, parameters) {
  let found;
  session.post(method, parameters, (error, result) => {
    found = error ? { exceptionDetails: { text: error.message } } : result;
  });
  return found;
}

/** Return the value that the inspector has under an ID, or its plain value. */
function valueOf(remote) {
  if (remote.objectId === undefined) {
    if (remote.unserializableValue !== undefined) return vm.runInThisContext(`(${remote.unserializableValue})`);
    return remote.value;
  }
  let taken;
  globalThis.__session_take = (value) => {
    taken = value;
  };
  post('Runtime.callFunctionOn', {
    objectId: remote.objectId,
    functionDeclaration: 'function (value) { globalThis.__session_take(value); }',
    arguments: [{ objectId: remote.objectId }],
  });
  delete globalThis.__session_take;
  return taken;
}

class Thrown extends Error {}

/** Return the value of source that needs no wait. */
function evaluated(source, options) {
  return outcome(post('Runtime.evaluate', { expression: source, ...options }));
}

function outcome({ result, exceptionDetails }) {
  if (exceptionDetails) {
    const { exception, text, lineNumber, columnNumber } = exceptionDetails;
    const thrown = new Thrown(text);
    thrown.cause = exception ? valueOf(exception) : new Error(text);
    thrown.place = lineNumber === undefined ? '' : `${lineNumber + 1}:${columnNumber + 1}`;
    throw thrown;
  }
  return valueOf(result);
}

let body;
// SIGINT ends what this script calls, the cell within it included.
const stoppable = new vm.Script('globalThis[Symbol.for("session")]()', { filename: 'session' });
Object.defineProperty(globalThis, Symbol.for('session'), { value: () => body() });

function withInterrupt(call) {
  body = call;
  return stoppable.runInThisContext({ breakOnSigint: true });
}

const INTERRUPTED = 'ERR_SCRIPT_EXECUTION_INTERRUPTED';
process.on('SIGINT', () => {
  if (waiting) waiting(Object.assign(new Error('interrupted'), { code: INTERRUPTED }));
});
process.on('uncaughtException', (error) => write(2, `Uncaught ${util.inspect(error)}\n`));
process.on('unhandledRejection', (error) => write(2, `Unhandled rejection: ${util.inspect(error)}\n`));

/** Return a cell's name without spaces, which V8 does not take. */
const label = (name) => name.replace(/\s/g, '-');

async function run({ code, name }) {
  count += 1;
  const settled = new Promise((resolve, reject) => {
    waiting = reject;
    withInterrupt(() => {
      session.post(
        'Runtime.evaluate',
        { expression: `${code}\n//# sourceURL=${label(name)}`, replMode: true, awaitPromise: true },
        (error, result) => (error ? reject(new Error(error.message)) : resolve(result)),
      );
    });
  });
  try {
    const value = outcome(await settled);
    if (value !== undefined && !/;\s*$/.test(code)) {
      globalThis._ = value;
      send('result', { data: bundle(value), metadata: {}, count });
    }
  } finally {
    waiting = null;
  }
}

const OTHERS = /^\s+at (.*\()?(node:|internal\/|session:)|^\s+at new Promise \(<anonymous>\)/;

function report(found, name) {
  const error = found instanceof Thrown ? found.cause : found;
  if (error && error.code === INTERRUPTED) {
    send('error', { name: 'Interrupted', value: 'the cell was interrupted', traceback: ['Interrupted'] });
    return;
  }
  if (!(error instanceof Error) && !(error && typeof error.stack === 'string')) {
    send('error', { name: 'Uncaught', value: util.inspect(error), traceback: [`Uncaught ${util.inspect(error)}`] });
    return;
  }
  const lines = String(error.stack).split('\n');
  const own = lines.filter((line) => !OTHERS.test(line));
  if (error.name === 'SyntaxError' && found.place && !String(error.stack).includes(`${label(name)}:`)) own.push(`    at ${label(name)}:${found.place}`);
  send('error', { name: error.name || 'Error', value: String(error.message), traceback: own.slice(0, 100) });
}

// -- values --------------------------------------------------------------------------------------

/** Return the columns of a CSV text (RFC 4180) by name, numbers and truth values converted. */
function columns(text, types) {
  const rows = [[]];
  const cell = /("(?:[^"]|"")*"|[^",\r\n]*)(,|\r?\n|$)/g;
  for (let found = cell.exec(text); found && cell.lastIndex <= text.length; found = cell.exec(text)) {
    rows[rows.length - 1].push(found[1].startsWith('"') ? found[1].slice(1, -1).replace(/""/g, '"') : found[1]);
    if (cell.lastIndex >= text.length) break;
    if (found[2] !== ',') rows.push([]);
  }
  const [head, ...lines] = rows;
  return Object.fromEntries(head.map((name, i) => [name, converted(lines.map((line) => line[i]), types[name] || '')]));
}

function converted(texts, type) {
  const each = (change) => texts.map((text) => (text === '' || text === undefined ? null : change(text)));
  if (/^(object|string|str|category)$/.test(type)) return each(String);
  if (/^bool/.test(type)) return each((text) => /^true$/i.test(text));
  if (/^(datetime|date)/.test(type)) return each((text) => new Date(/\d\d:\d\d/.test(text) ? `${text.replace(' ', 'T').replace(/Z$/, '')}Z` : text));
  const numbers = each(Number);
  return numbers.some(Number.isNaN) ? each(String) : numbers;
}

function push({ name, file, kind, dtypes, body: data }) {
  let value = data;
  if (file.endsWith('.json')) value = JSON.parse(data.toString('utf8'));
  else if (file.endsWith('.txt')) value = data.toString('utf8');
  else if (file.endsWith('.csv')) {
    value = columns(data.toString('utf8'), dtypes || {});
    if (kind === 'series') value = Object.values(value).pop();
  }
  globalThis.__session_value = value;
  try {
    evaluated(`var ${name} = globalThis.__session_value`, {});
  } finally {
    delete globalThis.__session_value;
  }
}

function pull({ name }) {
  if (!/^[\p{L}_$][\p{L}\p{N}_$]*$/u.test(name)) throw new Error(`${name} is no name of a variable`);
  const value = evaluated(name, {});
  if (Buffer.isBuffer(value) || value instanceof Uint8Array) {
    send('value', { file: 'value.bin', body: true });
    write(1, value);
  } else if (typeof value === 'string') {
    send('value', { file: 'value.txt', body: true });
    write(1, value);
  } else {
    const typed = (_, item) => {
      if (typeof item === 'bigint') return Number(item);
      if (item instanceof Map) return Object.fromEntries(item);
      if (item instanceof Set || ArrayBuffer.isView(item)) return [...item];
      return item;
    };
    const text = JSON.stringify(value, typed);
    if (text === undefined && value !== undefined) throw new Error(`cannot return ${name}: a ${typeof value} is no data`);
    send('value', { file: 'value.json', body: true });
    write(1, text === undefined ? 'null' : text);
  }
  send('end');
}

// -- help ----------------------------------------------------------------------------------------

const wordBefore = (text) => /[\p{L}\p{N}_$.]*$/u.exec(text)[0];

function complete({ code, position }) {
  const word = wordBefore(code.slice(0, position));
  const dot = word.lastIndexOf('.');
  const start = word.slice(dot + 1);
  const names = new Set();
  if (dot < 0) {
    for (const name of post('Runtime.globalLexicalScopeNames', {}).names || []) names.add(name);
  }
  const target = dot < 0 ? globalThis : quietly(word.slice(0, dot));
  for (let object = target === null || target === undefined ? null : Object(target); object; object = Object.getPrototypeOf(object)) {
    for (const name of Object.getOwnPropertyNames(object)) names.add(name);
  }
  const matches = [...names].filter((name) => name.startsWith(start) && /^[\p{L}_$][\p{L}\p{N}_$]*$/u.test(name));
  const before = dot < 0 ? '' : word.slice(0, dot + 1);
  send('completions', { matches: matches.sort().slice(0, 500).map((name) => before + name), start: position - word.length });
}

/** Return an expression's value if getting it changes nothing, else undefined. */
function quietly(source) {
  if (!source) return undefined;
  try {
    return evaluated(source, { throwOnSideEffect: true, timeout: 200 });
  } catch {
    return undefined;
  }
}

function inspect({ code, position }) {
  const name = wordBefore(code.slice(0, position)) + /^[\p{L}\p{N}_$]*/u.exec(code.slice(position))[0];
  const value = quietly(name);
  let text = '';
  if (typeof value === 'function') {
    text = `${name}: ${util.inspect(value)}\n\n${Function.prototype.toString.call(value).slice(0, 2000)}`;
  } else if (value !== undefined) text = `${name}: ${util.inspect(value).slice(0, 2000)}`;
  send('inspection', { text });
}

// -- requests ------------------------------------------------------------------------------------

const REQUESTS = { run, push, pull, complete, inspect };

async function answer(request) {
  try {
    await REQUESTS[request.type](request);
  } catch (error) {
    report(error, request.name);
  }
  send('done', { count, number: request.number });
  write(2, `${MARK}${JSON.stringify({ type: 'sync', number: request.number })}\n`);
}

let pending = Buffer.alloc(0);
let last = Promise.resolve();
input.on('data', (data) => {
  pending = Buffer.concat([pending, data]);
  while (pending.length >= 8) {
    const middle = 8 + pending.readUInt32BE(0);
    const finish = middle + pending.readUInt32BE(4);
    if (pending.length < finish) return;
    const request = parsed(pending.subarray(8, middle), pending.subarray(middle, finish));
    pending = pending.subarray(finish);
    last = last.then(() => answer(request));
  }
});
input.on('end', () => {
  process.exit = exit;
  end();
});
send('ready', { language: 'node', version: process.versions.node, pid: process.pid });
