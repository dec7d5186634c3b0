"""Displays in images without IPython, and values as text; sent with :mod:`.python_agent`.

It runs in the container on Python 3.6 or newer and imports nothing of this package.  Its global
``agent`` is set before it.  The classes have the names, arguments and MIME bundles of
``IPython.display``; Pygments' colours of ``Code`` are missing.
"""

import base64
import html
import inspect
import mimetypes
import os
import types
import urllib.parse
from typing import Any

agent: Any = globals().get("agent")
WIDTH = 79
DEEPEST = 40


# -- text ------------------------------------------------------------------------------------------


def pretty(value: Any, column: int = 0, depth: int = 0) -> Any:
    """Return a value's text as IPython's printer has it: what does not fit has a line an item."""
    line = one_line(value, depth)
    if column + len(line) <= WIDTH or depth > DEEPEST:
        return line
    kind = type(value)
    if kind is dict and value:
        start = column + 1
        parts = []
        for key, item in value.items():
            head = pretty(key, start, depth + 1) + ": "
            parts.append(head + pretty(item, start + len(head), depth + 1))
        opening, closing = "{", "}"
    elif kind in BRACKETS and value:
        opening, closing = BRACKETS[kind]
        parts = [pretty(item, column + len(opening), depth + 1) for item in ordered(value)]
    else:
        return line
    between = ",\n" + " " * (depth + 1)
    return (
        opening + between.join(parts) + ("," if kind is tuple and len(parts) == 1 else "") + closing
    )


BRACKETS: Any = {
    list: ("[", "]"),
    tuple: ("(", ")"),
    set: ("{", "}"),
    frozenset: ("frozenset({", "})"),
}


def one_line(value: Any, depth: int = 0) -> Any:
    """Return a value's text on one line, unless its own has several."""
    kind = type(value)
    if depth > DEEPEST:
        return "..."
    if kind is dict:
        pairs = ((one_line(k, depth + 1), one_line(v, depth + 1)) for k, v in value.items())
        return "{" + ", ".join(map(": ".join, pairs)) + "}"
    if kind in BRACKETS and (value or kind in (list, tuple)):
        opening, closing = BRACKETS[kind]
        parts = [one_line(item, depth + 1) for item in ordered(value)]
        return (
            opening
            + ", ".join(parts)
            + ("," if kind is tuple and len(parts) == 1 else "")
            + closing
        )
    if isinstance(value, type) and type(value).__repr__ is type.__repr__:
        module = value.__module__
        return value.__qualname__ if module == "builtins" else module + "." + value.__qualname__
    if isinstance(value, (types.FunctionType, types.BuiltinFunctionType)):
        return function(value)
    represent: Any = kind.__repr__
    if represent is object.__repr__:
        return "<%s.%s at 0x%x>" % (kind.__module__, kind.__qualname__, id(value))
    return repr(value)


def function(value: Any) -> Any:
    """Return a function's text with its signature."""
    module = getattr(value, "__module__", None)
    name = value.__qualname__ if module in (None, "builtins") else module + "." + value.__qualname__
    try:
        return "<function " + name + str(inspect.signature(value)) + ">"
    except (TypeError, ValueError):
        return repr(value)


def ordered(value: Any) -> Any:
    """Return the items, those of sets sorted if they can be."""
    if isinstance(value, (set, frozenset)):
        try:
            return sorted(value)
        except Exception:  # items of several types, or of one without an order
            return list(value)
    return value


# -- handles ---------------------------------------------------------------------------------------


class DisplayHandle:
    """A display that can be updated."""

    def __init__(self, display_id: Any = None) -> None:
        self.display_id = display_id or base64.b16encode(os.urandom(16)).decode().lower()

    def __repr__(self) -> str:
        return "<DisplayHandle display_id=%s>" % self.display_id

    def display(self, value: Any, **options: Any) -> None:
        """Show a value under this ID once more."""
        agent.display(value, display_id=self.display_id, **options)

    def update(self, value: Any, **options: Any) -> None:
        """Replace what is shown under this ID."""
        agent.display(value, display_id=self.display_id, update=True, **options)


# -- data of one type ------------------------------------------------------------------------------


def address(value: Any) -> Any:
    """Return whether a value is text with the address of a page."""
    return isinstance(value, str) and value.startswith(("http:", "https:"))


class DisplayObject:
    """Data that is shown in one way; text of a file or address if ``data`` is missing."""

    mime = ""
    binary = False

    def __init__(
        self, data: Any = None, url: Any = None, filename: Any = None, metadata: Any = None
    ) -> None:
        if address(data) and url is None:
            data, url = None, data
        self.data, self.url, self.filename, self.metadata = data, url, filename, metadata or {}
        if filename is not None:
            with open(filename, "rb") as file:
                self.data = file.read()
        elif data is None and url is not None and self.mime:
            from urllib.request import urlopen

            self.data = urlopen(url).read()
        if isinstance(self.data, bytes) and not self.binary:
            self.data = self.data.decode("utf-8")

    def __repr__(self) -> str:
        return "<%s.%s object>" % (type(self).__module__, type(self).__name__)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> Any:
        if not self.mime or self.data is None:
            return {}
        found = {self.mime: self.content()}
        return (found, {self.mime: self.metadata}) if self.metadata else found

    def content(self) -> Any:
        """Return what is sent."""
        return self.data


class TextDisplayObject(DisplayObject):
    """Text."""


class Pretty(TextDisplayObject):
    def __repr__(self) -> str:
        return str(self.data)


class HTML(TextDisplayObject):
    mime = "text/html"

    def __html__(self) -> Any:
        return self.data


class Markdown(TextDisplayObject):
    mime = "text/markdown"


class Latex(TextDisplayObject):
    mime = "text/latex"


class Math(TextDisplayObject):
    mime = "text/latex"

    def content(self) -> Any:
        return "$\\displaystyle %s$" % self.data.strip("$")


class SVG(DisplayObject):
    mime = "image/svg+xml"

    def content(self) -> Any:
        from xml.dom import minidom

        found = minidom.parseString(self.data.encode()).getElementsByTagName("svg")
        return found[0].toxml() if found else self.data


class JSON(DisplayObject):
    mime = "application/json"

    def __init__(
        self,
        data: Any = None,
        url: Any = None,
        filename: Any = None,
        expanded: Any = False,
        metadata: Any = None,
        root: Any = "root",
        **more: Any,
    ) -> None:
        about = dict({"expanded": expanded, "root": root}, **(metadata or {}))
        DisplayObject.__init__(self, data, url, filename, dict(about, **more))
        if isinstance(self.data, str):
            import json

            self.data = json.loads(self.data)


class GeoJSON(JSON):
    mime = "application/geo+json"

    def _ipython_display_(self) -> None:
        text = "<IPython.display.GeoJSON object>"
        data = {self.mime: self.data, "text/plain": text}
        agent.publish(data, {self.mime: self.metadata})


class Javascript(TextDisplayObject):
    mime = "application/javascript"

    def __init__(
        self,
        data: Any = None,
        url: Any = None,
        filename: Any = None,
        lib: Any = None,
        css: Any = None,
    ) -> None:
        self.lib = [lib] if isinstance(lib, str) else list(lib or ())
        self.css = [css] if isinstance(css, str) else list(css or ())
        DisplayObject.__init__(self, data, url, filename)

    def content(self) -> Any:
        import json

        text = self.data
        for library in reversed(self.lib):
            text = (
                "await new Promise((done, failed) => document.head.append(Object.assign("
                "document.createElement('script'), {src: %s, onload: done, onerror: failed})));\n%s"
            ) % (json.dumps(library), text)
        if self.lib:
            text = "(async () => {\n" + text + "\n})();"
        sheets = (
            "document.head.append(Object.assign(document.createElement('link'), "
            "{rel: 'stylesheet', href: %s}));\n" % json.dumps(sheet)
            for sheet in self.css
        )
        return "".join(sheets) + text


# -- pictures, sound, pages ------------------------------------------------------------------------

STARTS = (
    (b"\x89PNG", "png"),
    (b"\xff\xd8", "jpeg"),
    (b"GIF8", "gif"),
    (b"RIFF", "webp"),
    (b"<", "svg+xml"),
)


class Image(DisplayObject):
    """A picture by its first bytes or its format; of an address, an HTML image."""

    binary = True

    def __init__(
        self,
        data: Any = None,
        url: Any = None,
        filename: Any = None,
        format: Any = None,
        embed: Any = None,
        width: Any = None,
        height: Any = None,
        retina: Any = False,
        unconfined: Any = False,
        metadata: Any = None,
        alt: Any = None,
    ) -> None:
        if hasattr(data, "_repr_png_"):
            data = data._repr_png_()
        if isinstance(data, (str, os.PathLike)) and not address(data):
            data, filename = None, os.fspath(data)
        DisplayObject.__init__(self, data, url, filename, metadata)
        if self.data is None and url is None and self.url is not None and embed:
            from urllib.request import urlopen

            self.data = urlopen(self.url).read()
        self.format, self.alt = format, alt
        self.width, self.height = width, height
        if retina and self.data is not None and self.data[:4] == b"\x89PNG":
            size = (int.from_bytes(self.data[i : i + 4], "big") for i in (16, 20))
            self.width, self.height = (number // 2 for number in size)
        named = ("width", self.width), ("height", self.height), ("alt", alt)
        self.metadata.update((name, one) for name, one in named if one is not None and one != "")
        if unconfined:
            self.metadata["unconfined"] = True

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> Any:
        if self.data is None:
            names = ("width", "height", "alt")
            given = ((name, getattr(self, name)) for name in names)
            text = "".join(' %s="%s"' % item for item in given if item[1])
            return {"text/html": '<img src="%s"%s/>' % (self.url, text)}
        kinds = (kind for start, kind in STARTS if self.data.startswith(start))
        kind = "image/" + (self.format or next(kinds, "png")).replace("jpg", "jpeg")
        about = {kind: {k: v for k, v in self.metadata.items() if v != 0 or k == "alt"}}
        return {kind: self.data}, about if about[kind] else {}


def embedded(data: Any, mime: Any) -> str:
    """Return the address of data within a page."""
    return "data:%s;base64,%s" % (mime, base64.b64encode(data).decode())


class Audio(DisplayObject):
    """Sound: a file, an address, bytes, or numbers (one list, or two of a stereo sound)."""

    binary = True

    def __init__(
        self,
        data: Any = None,
        filename: Any = None,
        url: Any = None,
        embed: Any = None,
        rate: Any = None,
        autoplay: Any = False,
        normalize: Any = True,
        element_id: Any = None,
    ) -> None:
        if isinstance(data, str) and not address(data):
            data, filename = None, data
        if data is not None and not isinstance(data, (bytes, str)):
            if rate is None:
                raise ValueError("rate must be specified when data is a numpy array or list")
            data = wave_of(data, rate, normalize)
        DisplayObject.__init__(self, data, url, filename)
        self.autoplay, self.element_id = autoplay, element_id

    def _repr_html_(self) -> str:
        named = self.filename or self.url or ""
        mime = mimetypes.guess_type(named)[0] or "audio/wav"
        source = self.url if self.data is None else embedded(self.data, mime)
        about = 'id="%s"' % self.element_id if self.element_id else ""
        return (
            '<audio %s controls="controls" %s> <source src="%s" type="%s" /> '
            "Your browser does not support the audio element. </audio>"
        ) % (about, 'autoplay="autoplay"' if self.autoplay else "", source, mime)


def wave_of(data: Any, rate: Any, normalize: Any) -> bytes:
    """Return numbers as a WAVE file of 16 bits."""
    import array
    import io
    import wave

    rows = [list(row) for row in data] if hasattr(data[0], "__len__") else [list(data)]
    most = max((abs(number) for row in rows for number in row), default=0)
    scale = 32767 / ((most or 1) if normalize else 1)
    found = array.array("h", [int(number * scale) for both in zip(*rows) for number in both])
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(len(rows))
        writer.setsampwidth(2)
        writer.setframerate(int(rate))
        writer.writeframes(found.tobytes())
    return file.getvalue()


class Video(DisplayObject):
    """A film: an address or a file, or its contents with ``embed``."""

    binary = True

    def __init__(
        self,
        data: Any = None,
        url: Any = None,
        filename: Any = None,
        embed: Any = False,
        mimetype: Any = None,
        width: Any = None,
        height: Any = None,
        html_attributes: Any = "controls",
    ) -> None:
        if isinstance(data, (str, os.PathLike)) and not address(data):
            data, filename = None, os.fspath(data)
        if isinstance(data, bytes) and not embed:
            raise ValueError("To embed videos, you must pass embed=True")
        DisplayObject.__init__(self, data, url, filename if embed else None)
        self.filename, self.embed, self.mimetype = filename, embed, mimetype
        self.html_attributes, self.width, self.height = html_attributes, width, height

    def _repr_html_(self) -> str:
        size = ("width", self.width), ("height", self.height)
        about = [self.html_attributes] + ['%s="%d"' % one if one[1] else "" for one in size]
        if not self.embed:
            source = html.escape(self.url or self.filename or "")
            return (
                '<video src="%s" %s> Your browser does not support the <code>video</code> element. '
                "</video>" % (source, " ".join(about))
            )
        mime = self.mimetype or mimetypes.guess_type(self.filename or "")[0]
        return (
            '<video %s> <source src="%s" type="%s"> Your browser does not support the video tag. '
            "</video>" % (" ".join(about), embedded(self.data, mime), mime)
        )


class IFrame:
    """A page in the page."""

    def __init__(
        self, src: Any, width: Any = "100%", height: Any = 400, extras: Any = (), **params: Any
    ) -> None:
        self.src, self.width, self.height = src, width, height
        self.extras, self.params = extras, params

    def _repr_html_(self) -> str:
        more = "?" + urllib.parse.urlencode(self.params) if self.params else ""
        return (
            '<iframe width="%s" height="%s" src="%s" frameborder="0" allowfullscreen '
            'referrerpolicy="strict-origin-when-cross-origin" %s></iframe>'
        ) % (self.width, self.height, self.src + more, " ".join(self.extras))


class YouTubeVideo(IFrame):
    def __init__(
        self, id: Any, width: Any = 400, height: Any = 300, allow_autoplay: Any = False, **more: Any
    ) -> None:
        self.id = id
        extras = list(more.pop("extras", ()))
        if allow_autoplay:
            extras.append('allow="autoplay"')
            more["autoplay"] = 1
        source = "https://www.youtube.com/embed/" + id
        IFrame.__init__(self, source, width, height, extras, **more)


class VimeoVideo(IFrame):
    def __init__(self, id: Any, width: Any = 400, height: Any = 300, **more: Any) -> None:
        self.id = id
        IFrame.__init__(self, "https://player.vimeo.com/video/" + id, width, height, **more)


class FileLink:
    """A link to a file, which the page finds only if it is below the notebook's folder."""

    def __init__(
        self,
        path: Any,
        url_prefix: Any = "",
        result_html_prefix: Any = "",
        result_html_suffix: Any = "<br>",
    ) -> None:
        self.path, self.url_prefix = os.fspath(path), url_prefix
        self.before, self.after = result_html_prefix, result_html_suffix

    def link(self, path: Any, text: Any) -> str:
        """Return the link's HTML."""
        where = html.escape(self.url_prefix + path)
        return "<a href='%s' target='_blank'>%s</a>" % (where, html.escape(text))

    def _repr_html_(self) -> str:
        if not os.path.exists(self.path):
            return (
                "Path (<tt>%s</tt>) doesn't exist. It may still be in the process of being "
                "generated, or you may have the incorrect path." % self.path
            )
        return "".join((self.before, self.link(self.path, self.path), self.after))

    def __repr__(self) -> str:
        return str(os.path.abspath(self.path))


class FileLinks(FileLink):
    """Links to the files of a folder."""

    def __init__(
        self, path: Any, url_prefix: Any = "", included_suffixes: Any = None, recursive: Any = True
    ) -> None:
        FileLink.__init__(self, str(path).rstrip("/"), url_prefix)
        self.included, self.recursive = included_suffixes, recursive

    def folders(self) -> Any:
        """Yield the folders and the names of their files."""
        walked = sorted(os.walk(self.path)) if self.recursive else [next(os.walk(self.path))]
        for folder, _, names in walked:
            kept = [
                n for n in names if not self.included or os.path.splitext(n)[1] in self.included
            ]
            if kept:
                yield folder, kept

    def _repr_html_(self) -> str:
        lines = []
        for folder, names in self.folders():
            lines.append(html.escape(folder) + "/<br>")
            lines += ["&nbsp;&nbsp;" + self.link(folder + "/" + n, n) + "<br>" for n in names]
        return "\n".join(lines)

    def __repr__(self) -> str:
        return "\n".join("\n  ".join([folder + "/"] + names) for folder, names in self.folders())


class Code(TextDisplayObject):
    """Program text; without Pygments in one colour."""

    def __init__(
        self, data: Any = None, url: Any = None, filename: Any = None, language: Any = None
    ) -> None:
        self.language = language
        DisplayObject.__init__(self, data, url, filename)

    def _repr_html_(self) -> str:
        return "<pre>" + html.escape(self.data or "") + "</pre>"

    def _repr_latex_(self) -> Any:
        return None

    def __repr__(self) -> str:
        return str(self.data)


class ProgressBar(DisplayObject):
    """A bar that counts, also while one iterates over it."""

    def __init__(self, total: Any) -> None:
        self.total, self._progress = total, 0
        self._handle = DisplayHandle()

    def __repr__(self) -> str:
        done = int(60 * self._progress / self.total) if self.total else 0
        return "[" + ("=" * done).ljust(60) + "] %s/%s" % (self._progress, self.total)

    def _repr_html_(self) -> str:
        about = self.total, self._progress
        return "<progress style='width:60ex' max='%s' value='%s'></progress>" % about

    def display(self) -> None:
        """Show the bar."""
        self._handle.display(self)

    def update(self) -> None:
        """Show the progress."""
        self._handle.update(self)

    @property
    def progress(self) -> Any:
        """The count so far."""
        return self._progress

    @progress.setter
    def progress(self, value: Any) -> None:
        self._progress = value
        self.update()

    def __iter__(self) -> Any:
        self.display()
        for number in range(self.total):
            self.progress = number
            yield number
        self.progress = self.total


# -- the module ------------------------------------------------------------------------------------

SHORT = {
    "pretty": "text/plain",
    "html": "text/html",
    "markdown": "text/markdown",
    "svg": "image/svg+xml",
    "png": "image/png",
    "jpeg": "image/jpeg",
    "latex": "text/latex",
    "json": "application/json",
    "javascript": "application/javascript",
    "pdf": "application/pdf",
}


def shower(mime: Any) -> Any:
    """Return a function that shows values as one type."""

    def show(*values: Any, raw: Any = False, metadata: Any = None) -> None:
        for value in values:
            if raw:
                agent.display({mime: value}, raw=True, metadata=metadata)
            else:
                agent.display(value, include=[mime], metadata=metadata)

    return show


def fill(module: Any) -> None:
    """Give a module the names of ``IPython.display``."""
    for name, kind in sorted(globals().items()):
        if isinstance(kind, type) and (kind in (IFrame, FileLink, DisplayHandle) or (
            issubclass(kind, (DisplayObject, IFrame, FileLink))
        )):  # fmt: skip
            lib = issubclass(kind, (IFrame, FileLink, Audio, Code))
            kind.__module__ = "IPython.lib.display" if lib else "IPython.core.display"
            setattr(module, name, kind)
    for name, mime in SHORT.items():
        setattr(module, "display_" + name, shower(mime))
