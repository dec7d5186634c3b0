"""The Python agent of a session: a program in the container that runs cells and keeps state.

This file is sent through the pipe of ``exec`` and imports nothing of this package: any Python from
3.6 on runs it, with a read-only root and no network.  Its globals ``source`` (the binary file that
frames are read from), ``values_source`` (the text of ``inside_python.py``) and ``displays_source``
(of ``python_displays.py``) are set before it.

A frame is two big-endian 32-bit lengths, a JSON object with a ``type``, and a body of bytes.
Frames to the agent: ``run``, ``interrupt``, ``input_reply``, ``push``, ``pull``, ``complete``,
``inspect``.  Frames from it: ``ready``, ``stream``, ``display``, ``clear``, ``result``, ``error``,
``input_request``, ``value``, ``completions``, ``inspection``, and ``done`` after each request.

The main thread runs the cells.  One thread reads frames, so that an interrupt arrives while a cell
runs; others forward what subprocesses write to descriptors 1 and 2, and collect small writes.
"""

import ast
import base64
import builtins
import importlib.machinery
import importlib.util
import inspect
import io
import json
import linecache
import os
import queue
import re
import shutil
import signal
import struct
import sys
import tempfile
import threading
import traceback
import types
from typing import Any

COLLECT_SECONDS = 0.01
CHUNK = 32768
SHOWN_LINES = 50
HEAD = struct.Struct(">II")
METHODS = (
    ("text/html", "_repr_html_"),
    ("text/markdown", "_repr_markdown_"),
    ("image/svg+xml", "_repr_svg_"),
    ("image/png", "_repr_png_"),
    ("image/jpeg", "_repr_jpeg_"),
    ("application/pdf", "_repr_pdf_"),
    ("text/latex", "_repr_latex_"),
    ("application/json", "_repr_json_"),
    ("application/javascript", "_repr_javascript_"),
)


class Wire:
    """Frames to the other end, one at a time."""

    def __init__(self, descriptor: Any) -> None:
        self.descriptor = descriptor
        self.lock = threading.Lock()

    def send(self, kind: Any, body: Any = b"", **fields: Any) -> None:
        """Write one frame."""
        fields["type"] = kind
        text = json.dumps(fields, default=repr).encode("utf-8", "surrogatepass")
        with self.lock:
            self._write(HEAD.pack(len(text), len(body)) + text)
            self._write(body)

    def _write(self, data: Any) -> None:
        view = memoryview(data)
        while len(view):
            view = view[os.write(self.descriptor, view) :]


class Output(io.RawIOBase):
    """One standard stream: sends what is written, small writes together."""

    def __init__(self, wire: Any, name: Any) -> None:
        self.wire, self.label = wire, name
        self.lock = threading.RLock()
        self.pending = bytearray()
        self.direct = False  # in a forked child, whose parent forwards its descriptors
        self.written = threading.Event()
        thread = threading.Thread(target=self._collect, name="session-" + name)
        thread.daemon = True
        thread.start()

    def writable(self) -> bool:
        """Return True."""
        return True

    def fileno(self) -> int:
        """Return the number that subprocesses write to."""
        return 1 if self.label == "stdout" else 2

    def write(self, data: Any) -> int:
        """Take bytes; they are sent within some milliseconds."""
        if self.direct:
            return os.write(self.fileno(), data)
        with self.lock:
            self.pending += data
            if len(self.pending) >= CHUNK:
                self.send()
        self.written.set()
        return len(data)

    def send(self) -> None:
        """Send what has been written."""
        with self.lock:
            data, self.pending = bytes(self.pending), bytearray()
            if data:
                self.wire.send("stream", data, name=self.label)

    def _collect(self) -> None:
        while True:
            self.written.wait()
            self.written.clear()
            threading.Event().wait(COLLECT_SECONDS)
            self.send()


class Forwarder:
    """Forwards what subprocesses write to a descriptor."""

    def __init__(self, output: Any, descriptor: Any) -> None:
        self.output = output
        self.lock = threading.Lock()
        self.reader, writer = os.pipe()
        os.set_blocking(self.reader, False)
        os.dup2(writer, descriptor, True)
        os.close(writer)
        thread = threading.Thread(target=self._forward, name="session-forwarder")
        thread.daemon = True
        thread.start()

    def drain(self) -> None:
        """Forward what has been written."""
        with self.lock:
            while True:
                try:
                    data = os.read(self.reader, CHUNK)
                except BlockingIOError:
                    return
                if not data:
                    return
                self.output.write(data)

    def _forward(self) -> None:
        import select

        poll = select.poll()
        poll.register(self.reader, select.POLLIN)
        while True:
            poll.poll()
            self.drain()


def representation(value: Any, include: Any = None, exclude: Any = None) -> Any:
    """Return the MIME bundle of a value and its metadata; ``(None, None)`` if it showed itself."""
    formatters: Any = sys.modules.get("IPython.core.formatters")
    if formatters is not None and hasattr(formatters, "DisplayFormatter"):
        if not hasattr(formatters, "session_formatter"):
            formatters.session_formatter = formatters.DisplayFormatter()
        data, metadata = formatters.session_formatter.format(value, include, exclude)
        if not data:
            return None, None
    else:
        data, metadata = bundle(value)
        if data is None:
            return None, None
        data.setdefault("text/plain", plain(value))
    if set(data) == {"text/plain"} and is_figure(value):
        data["image/png"] = picture(value)
    chosen = {
        mime: encodable(mime, found)
        for mime, found in data.items()
        if (not include or mime in include) and not (exclude and mime in exclude)
    }
    return chosen or None, {mime: about for mime, about in metadata.items() if mime in chosen}


def bundle(value: Any) -> Any:
    """Return what a value's own methods give, those of IPython, in its order."""
    data: Any = {}
    metadata: Any = {}
    if isinstance(value, type):
        return data, metadata
    if callable(getattr(value, "_ipython_display_", None)):
        value._ipython_display_()
        return None, None
    if callable(getattr(value, "_repr_mimebundle_", None)):
        found = attempt(value._repr_mimebundle_, include=None, exclude=None)
        if isinstance(found, tuple):
            found, metadata = found
        data.update(found or {})
    for mime, name in METHODS:
        method = getattr(value, name, None)
        if mime in data or not callable(method):
            continue
        found = attempt(method)
        if isinstance(found, tuple):
            found, metadata[mime] = found
        if found is not None:
            data[mime] = found
    return data, metadata


def attempt(method: Any, **arguments: Any) -> Any:
    """Return the result of a value's method; None after an error, which is shown."""
    try:
        return method(**arguments)
    except NotImplementedError:
        return None
    except Exception:
        traceback.print_exc()
        return None


def encodable(mime: Any, value: Any) -> Any:
    """Return the value of one MIME type as JSON has it: binary ones in base64."""
    if isinstance(value, (bytes, bytearray)):
        if mime.startswith("text/") or mime == "image/svg+xml":
            return bytes(value).decode("utf-8", "replace")
        return base64.b64encode(value).decode("ascii")
    return value


def plain(value: Any) -> str:
    """Return a value's text, large containers on several lines."""
    if type(value) in (str, int, float, bool, bytes):
        return repr(value)
    return str(displays()["pretty"](value))


def displays() -> Any:
    """Return the names of ``python_displays.py``, which is run when something needs it."""
    names = globals()
    if "displays_names" not in names:
        made: Any = {"__name__": "session_displays", "agent": names.get("current")}
        exec(compile(names["displays_source"], "python_displays.py", "exec"), made)
        names["displays_names"] = made
    return names["displays_names"]


def is_figure(value: Any) -> bool:
    """Return whether a value is a figure of matplotlib."""
    module = sys.modules.get("matplotlib.figure")
    return module is not None and isinstance(value, module.Figure)


def picture(figure: Any) -> bytes:
    """Return a figure as PNG."""
    file = io.BytesIO()
    figure.savefig(file, format="png", bbox_inches="tight")
    return file.getvalue()


class DisplayModule:
    """Finds ``IPython.display``: the real one with its functions replaced, or a stand-in."""

    def __init__(self, functions: Any) -> None:
        self.functions, self.busy = functions, False

    def find_spec(self, name: Any, path: Any = None, target: Any = None) -> Any:
        """Return a loader for the two modules that are changed."""
        if name not in ("IPython", "IPython.display") or self.busy:
            return None
        self.busy = True
        try:
            real = importlib.util.find_spec(name)
        except (ImportError, ValueError):
            real = None
        finally:
            self.busy = False
        if real is not None and name == "IPython":
            return real
        loader: Any = _DisplayLoader(self.functions, real)
        return importlib.machinery.ModuleSpec(name, loader, is_package=name == "IPython")


class _DisplayLoader:
    def __init__(self, functions: Any, real: Any) -> None:
        self.functions, self.real = functions, real

    def create_module(self, spec: Any) -> Any:
        return None

    def exec_module(self, module: Any) -> None:
        if self.real is not None:
            module.__spec__, module.__file__ = self.real, self.real.origin
            self.real.loader.exec_module(module)
            # Its own functions call each other by the names of these modules.
            inner = ("IPython.core.display_functions", "IPython.core.display")
            for name in inner:
                known = sys.modules.get(name)
                for key in self.functions:
                    if known is not None and hasattr(known, key):
                        setattr(known, key, self.functions[key])
        elif module.__name__ == "IPython":
            module.version_info, module.__version__ = (8, 0), "8.0"
            module.get_ipython = lambda: None
        else:
            displays()["fill"](module)
        if module.__name__ == "IPython.display":
            module.__dict__.update(self.functions)


class Agent:
    """Runs the requests, one after the other."""

    def __init__(self, source: Any, wire: Any) -> None:
        self.source, self.wire = source, wire
        self.requests: Any = queue.Queue()
        self.replies: Any = queue.Queue()
        self.running, self.count = False, 0
        self.main = types.ModuleType("__main__")
        self.main.__dict__.update({"__builtins__": builtins, "display": self.display})
        self.names = self.main.__dict__
        self.outputs: Any = []
        self.forwarders: Any = []
        self.values: Any = None

    # -- descriptors and hooks ---------------------------------------------------------------

    def take_over(self) -> None:
        """Replace this process's standard streams by frames, and install the session's hooks."""
        for name, descriptor in (("stdout", 1), ("stderr", 2)):
            output = Output(self.wire, name)
            self.outputs.append(output)
            self.forwarders.append(Forwarder(output, descriptor))
            text = io.TextIOWrapper(
                io.BufferedWriter(output), "utf-8", "backslashreplace", line_buffering=True
            )
            setattr(sys, name, text)
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self.forked)
        null = os.open(os.devnull, os.O_RDONLY)
        os.dup2(null, 0, True)
        os.close(null)
        sys.stdin = io.StringIO()
        sys.modules["__main__"] = self.main
        builtins.input = self.ask
        builtins.__dict__["display"] = self.display
        sys.displayhook = self.show_value
        import getpass

        getpass.getpass = lambda prompt="Password: ", stream=None: self.ask(prompt, True)
        os.environ.setdefault("MPLBACKEND", "Agg")
        os.environ.setdefault("PLOTLY_RENDERER", "plotly_mimetype")
        functions = {
            "display": self.display,
            "clear_output": self.clear,
            "update_display": self.update,
            "publish_display_data": self.publish,
        }
        sys.meta_path.insert(0, DisplayModule(functions))

    def forked(self) -> None:
        """Write to the descriptors in a child: the threads are its parent's."""
        for output in self.outputs:
            output.direct, output.pending = True, bytearray()

    def flush(self) -> None:
        """Send everything written so far."""
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except Exception:  # a cell may have put anything there, or closed it
                continue
        for forwarder in self.forwarders:
            forwarder.drain()
        for output in self.outputs:
            output.send()

    # -- what cells call ---------------------------------------------------------------------

    def display(self, *values: Any, **options: Any) -> Any:
        """Show values as IPython's ``display`` does."""
        display_id = options.pop("display_id", None)
        if display_id is True:
            display_id = os.urandom(16).hex()
        if options.pop("clear", False):
            self.clear(True)
        for value in values:
            if options.get("raw"):
                data, metadata = {mime: encodable(mime, value[mime]) for mime in value}, {}
            else:
                only = options.get("include"), options.get("exclude")
                data, metadata = representation(value, *only)
            if data is not None:
                metadata = dict(metadata or {}, **(options.get("metadata") or {}))
                self.publish(
                    data, metadata, display_id=display_id, update=options.get("update", False)
                )
        if not display_id or options.get("update"):
            return None
        real: Any = sys.modules.get("IPython.core.display_functions")
        return (real.DisplayHandle if real else displays()["DisplayHandle"])(display_id)

    def publish(
        self,
        data: Any,
        metadata: Any = None,
        display_id: Any = None,
        update: Any = False,
        transient: Any = None,
        **_: Any,
    ) -> None:
        """Show a MIME bundle."""
        self.flush()
        display_id = display_id or (transient or {}).get("display_id")
        self.wire.send(
            "display", data=data, metadata=metadata or {}, display_id=display_id, update=update
        )

    def update(self, value: Any, display_id: Any, **options: Any) -> None:
        """Replace what is shown under an ID."""
        self.display(value, display_id=display_id, update=True, **options)

    def clear(self, wait: Any = False) -> None:
        """Remove the outputs of the cell, with ``wait`` when the next one comes."""
        self.flush()
        self.wire.send("clear", wait=bool(wait))

    def ask(self, prompt: Any = "", hidden: Any = False) -> str:
        """Return a line of input from the user."""
        self.flush()
        self.wire.send("input_request", prompt=str(prompt), password=hidden)
        reply = self.replies.get()
        if reply is None:
            raise EOFError("this session has no input")
        return str(reply)

    def show_value(self, value: Any) -> None:
        """Show the value of a cell's last expression."""
        if value is None:
            return
        self.names["_"] = value
        data, metadata = representation(value)
        if data is not None:
            self.flush()
            self.wire.send("result", data=data, metadata=metadata, count=self.count)

    # -- requests ----------------------------------------------------------------------------

    def read(self) -> None:
        """Read frames until the other end closes the pipe; then end this process."""
        while True:
            head = self.source.read(HEAD.size)
            if len(head) < HEAD.size:
                break
            text, size = HEAD.unpack(head)
            frame = json.loads(self.source.read(text).decode("utf-8"))
            frame["body"] = self.source.read(size) if size else b""
            kind = frame["type"]
            if kind == "interrupt":
                if self.running:
                    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
            elif kind == "input_reply":
                self.replies.put(frame.get("text"))
            else:
                self.requests.put(frame)
        try:
            os.kill(1, signal.SIGTERM)  # ends the container, if this user may
        except OSError:
            pass
        os._exit(0)

    def serve(self) -> None:
        """Serve requests for ever."""
        while True:
            frame = self.requests.get()
            status = "ok"
            try:
                # Interrupts reach the cell and nothing else.
                self.running = True
                signal.signal(signal.SIGINT, signal.default_int_handler)
                try:
                    getattr(self, "do_" + frame["type"])(frame)
                finally:
                    signal.signal(signal.SIGINT, signal.SIG_IGN)
                    self.running = False
            except BaseException as error:
                status = "error"
                self.report(error)
            self.flush()
            self.wire.send("done", id=frame.get("id"), status=status, count=self.count)

    def do_run(self, frame: Any) -> None:
        """Run a cell; show the value of its last expression and the open figures."""
        code, name = frame["code"], frame["name"]
        self.count += 1
        lines = [line + "\n" for line in code.splitlines()]
        linecache.cache[name] = (len(code), None, lines, name)
        flags = getattr(ast, "PyCF_ALLOW_TOP_LEVEL_AWAIT", 0)
        tree = compile(code, name, "exec", flags | ast.PyCF_ONLY_AST, True)
        last = []
        quiet = code.rstrip().endswith(";")
        if tree.body and isinstance(tree.body[-1], ast.Expr) and not quiet:
            last = [ast.Interactive([tree.body.pop()])]
        for part in ([tree] if tree.body else []) + last:
            mode = "single" if isinstance(part, ast.Interactive) else "exec"
            compiled = compile(part, name, mode, flags, True)
            if compiled.co_flags & inspect.CO_COROUTINE:
                import asyncio

                asyncio.run(eval(compiled, self.names))
            else:
                exec(compiled, self.names)
        self.show_figures()

    def show_figures(self) -> None:
        """Show and close the figures that pyplot has open."""
        pyplot: Any = sys.modules.get("matplotlib.pyplot")
        for number in pyplot.get_fignums() if pyplot is not None else ():
            self.display(pyplot.figure(number))
            pyplot.close(number)

    def report(self, error: Any) -> None:
        """Send an error with the frames of the cell."""
        if isinstance(error, SystemExit):
            error = RuntimeError(f"exit({error.code!r}): a session ends with stop")
            error.__traceback__ = None
        trace = error.__traceback__
        while trace is not None and trace.tb_frame.f_globals.get("__name__") == __name__:
            trace = trace.tb_next
        lines = "".join(traceback.format_exception(type(error), error, trace)).rstrip().split("\n")
        if len(lines) > 2 * SHOWN_LINES:
            left = len(lines) - 2 * SHOWN_LINES
            middle = [f"  [{left} lines left out]"]
            lines = lines[:SHOWN_LINES] + middle + lines[-SHOWN_LINES:]
        self.flush()
        self.wire.send(
            "error",
            name=type(error).__name__,
            value=str(error),
            traceback=lines,
        )

    def do_push(self, frame: Any) -> None:
        """Set a variable to the value that the body holds."""
        folder = tempfile.mkdtemp()
        try:
            path = os.path.join(folder, frame["file"])
            with open(path, "wb") as file:
                file.write(frame["body"])
            load = self.tools()["load"]
            about = frame["kind"], frame["index"], frame.get("dtypes")
            self.names[frame["name"]] = load(frame["name"], path, *about)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def do_pull(self, frame: Any) -> None:
        """Send the value of a variable."""
        name = frame["name"]
        if name not in self.names:
            raise NameError(f"name {name!r} is not defined")
        folder = tempfile.mkdtemp()
        try:
            hints = self.tools()["store"](name, self.names[name], folder, frame["parquet"])
            found = os.listdir(folder)[0]
            with open(os.path.join(folder, found), "rb") as file:
                self.wire.send("value", file.read(), file=found, hints=hints)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def tools(self) -> Any:
        """Return the functions that convert values to files and back."""
        if self.values is None:
            self.values = {"__name__": "session_values"}
            exec(compile(globals()["values_source"], "inside_python.py", "exec"), self.values)
            self.values["give_up"] = give_up
        return self.values

    def do_complete(self, frame: Any) -> None:
        """Send the completions at a position of a cell."""
        import rlcompleter

        before = frame["code"][: frame["position"]]
        word = word_before(before)
        completer = rlcompleter.Completer(self.names)
        found: Any = []
        while len(found) < 500:
            match = completer.complete(word, len(found)) if word else None
            if match is None:
                break
            found.append(match)
        start = frame["position"] - len(word)
        self.wire.send("completions", matches=sorted(set(found)), start=start)

    def do_inspect(self, frame: Any) -> None:
        """Send the signature and documentation of the name at a position of a cell."""
        code, position = frame["code"], frame["position"]
        name, text = word_before(code[:position]) + word_after(code[position:]), ""
        if re.match(r"[^\W\d]\w*(\.[^\W\d]\w*)*$", name):
            try:
                value = eval(name, self.names)
                try:
                    text = name + str(inspect.signature(value)) + "\n\n"
                except (TypeError, ValueError):
                    text = f"{name}: {type(value).__name__}\n\n"
                text += inspect.getdoc(value) or plain(value)[:2000]
                if frame.get("detail"):
                    try:
                        text += "\n\n" + inspect.getsource(value)
                    except (TypeError, OSError):
                        pass
            except (NameError, AttributeError):
                pass
        self.wire.send("inspection", text=text)


def word_before(text: str) -> str:
    """Return the name, with dots, at the end of a text."""
    return str(re.findall(r"[\w.]*$", text)[0])


def word_after(text: str) -> str:
    """Return the name at the beginning of a text."""
    return str(re.findall(r"^\w*", text)[0])


def give_up(message: Any) -> Any:
    """Raise the reason why a value cannot be exchanged."""
    raise ValueError(message)


def main() -> None:
    """Take over this process and serve the session."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    agent = Agent(globals()["source"], Wire(os.dup(1)))
    globals()["current"] = agent
    agent.take_over()
    reader = threading.Thread(target=agent.read, name="session-reader")
    reader.daemon = True
    agent.wire.send(
        "ready",
        language="python",
        version=sys.version.split()[0],
        parquet=importlib.util.find_spec("pyarrow") is not None,
    )
    reader.start()
    agent.serve()


if __name__ == "session_agent":
    main()
