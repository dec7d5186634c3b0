"""Whole Dockerfiles: the forms that official images are written in, and generated ones."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_containers.build.interpret import typed
from jupyter_containers.build.linting import static_findings
from jupyter_containers.build.parser import parse
from jupyter_containers.build.plan import make_plan
from jupyter_containers.errors import DockerfileSyntaxError
from jupyter_containers.oci.descriptor import Platform

FORMS = {
    "language": (
        # An interpreter built from source: one long RUN, keys, a symlink loop, an exec CMD.
        """
#
# NOTE: made by a script, do not edit
#
FROM buildpack-deps:bookworm

ENV PATH /usr/local/bin:$PATH
ENV GPG_KEY 7169605F62C751356D054A26A821E680E5FA6305
ENV VERSION 3.13.1
ENV SHA256 9cf9427bee9e2242e3877dd0f6b641c1853ca461f39d6503ce260a59c80bf0d9

RUN set -eux; \\
	wget -O src.tar.xz "https://example.com/${VERSION%%[a-z]*}/src-$VERSION.tar.xz"; \\
	echo "$SHA256 *src.tar.xz" | sha256sum -c -; \\
	\\
# a comment between the lines of a command
	arch="$(dpkg --print-architecture)"; arch="${arch##*-}"; \\
	case "$arch" in \\
		amd64) EXTRA='-fno-omit-frame-pointer' ;; \\
		*) ;; \\
	esac; \\
	nproc="$(nproc)"; \\
	make -j "$nproc" "LDFLAGS=${LDFLAGS:--Wl},-rpath='\\$\\$ORIGIN/../lib'"; \\
	find /usr/local -depth \\
		\\( \\
			\\( -type d -a \\( -name test -o -name tests \\) \\) \\
			-o \\( -type f -a \\( -name '*.pyc' -o -name '*.pyo' \\) \\) \\
		\\) -exec rm -rf '{}' + \\
	; \\
	ldconfig

RUN set -eux; \\
	for src in idle3 pip3 ; do \\
		dst="$(echo "$src" | tr -d 3)"; \\
		[ ! -e "/usr/local/bin/$dst" ]; \\
		ln -svT "$src" "/usr/local/bin/$dst"; \\
	done

CMD ["python3"]
""",
        8,
    ),
    "database": (
        # A user with fixed numbers, a volume, an entrypoint script, STOPSIGNAL with comments.
        """
FROM debian:bookworm-slim

# explicitly set user/group IDs
RUN set -eux; \\
	groupadd -r postgres --gid=999; \\
	useradd -r -g postgres --uid=999 --home-dir=/var/lib/postgresql postgres

ENV GOSU_VERSION 1.17
RUN mkdir /docker-entrypoint-initdb.d
ENV PG_MAJOR 17
ENV PATH $PATH:/usr/lib/postgresql/$PG_MAJOR/bin
ENV PGDATA /var/lib/postgresql/data
RUN install --verbose --directory --owner postgres --mode 1777 "$PGDATA"
VOLUME /var/lib/postgresql/data

COPY docker-entrypoint.sh docker-ensure-initdb.sh /usr/local/bin/
RUN ln -sT docker-ensure-initdb.sh /usr/local/bin/docker-enforce-initdb.sh
ENTRYPOINT ["docker-entrypoint.sh"]

# We set the default STOPSIGNAL to SIGINT, "Fast Shutdown mode"
STOPSIGNAL SIGINT
#
# An additional comment
EXPOSE 5432
CMD ["postgres"]
""",
        15,
    ),
    "proxy": (
        """
FROM debian:bookworm-slim
LABEL maintainer="Maintainers <docker-maint@example.com>"
ENV NGINX_VERSION   1.27.3
ENV PKG_RELEASE     1~bookworm
RUN set -x \\
# create the user first
    && addgroup --system --gid 101 nginx || true \\
    && case "$dpkgArch" in \\
        amd64|arm64) \\
            echo "deb [signed-by=$KEY] https://example.com/debian/ bookworm nginx" >> /etc/apt/l \\
            ;; \\
        *) \\
            tempDir="$(mktemp -d)" \\
            && chmod 777 "$tempDir" \\
            && { find . -name '*.deb' | xargs -r ls; } \\
            ;; \\
    esac \\
    \\
# forward logs
    && ln -sf /dev/stdout /var/log/nginx/access.log

COPY docker-entrypoint.sh /
COPY 10-listen-on-ipv6-by-default.sh /docker-entrypoint.d
ENTRYPOINT ["/docker-entrypoint.sh"]
EXPOSE 80
STOPSIGNAL SIGQUIT
CMD ["nginx", "-g", "daemon off;"]
""",
        11,
    ),
    "stages": (
        # A compiler in two stages, with --link and a cross compilation.
        """
# syntax=docker/dockerfile:1
FROM --platform=$BUILDPLATFORM buildpack-deps:bookworm-scm AS build
ENV GOLANG_VERSION 1.23.4
ARG TARGETARCH
RUN --mount=type=cache,target=/root/.cache/go-build --mount=type=bind,target=. \\
    GOARCH=$TARGETARCH go build -o /out/app .

FROM build AS test
RUN go vet ./...

FROM alpine:3.21
ENV GOTOOLCHAIN=local
COPY --from=build --link /usr/local/go/ /usr/local/go/
COPY --from=build /out/app /bin/
RUN mkdir -p "$GOPATH/src" "$GOPATH/bin" && chmod -R 1777 "$GOPATH"
WORKDIR $GOPATH
USER 65532:65532
HEALTHCHECK --interval=30s --timeout=3s CMD ["/bin/app", "-healthz"]
ENTRYPOINT [ "/bin/app" ]
""",
        15,
    ),
    "windows": (
        # The other escape character and another shell.
        """# escape=`
FROM mcr.microsoft.com/windows/servercore:ltsc2022
SHELL ["powershell", "-Command", "$ErrorActionPreference = 'Stop';"]
RUN $url = 'https://example.com/x.zip'; `
    Write-Host ('Downloading {0} ...' -f $url); `
    Remove-Item C:\\x.zip
ENV JAVA_HOME=C:\\openjdk-21
WORKDIR C:\\app
CMD ["jshell"]
""",
        6,
    ),
    "heredocs": (
        """
FROM debian
RUN <<-EOT bash -euo pipefail
	apt-get update
	cat <<-INNER > /etc/motd
		hello
	INNER
EOT
COPY --chmod=755 <<"run.sh" <<config /opt/
#!/bin/sh
exec "$@"
run.sh
key=${VALUE:-none}
config
ONBUILD COPY . /src
ONBUILD RUN make
""",
        5,
    ),
}


@pytest.mark.parametrize("name", FORMS)
def test_the_form_of_an_official_image(name: str) -> None:
    text, count = FORMS[name]
    parsed = parse(text)
    instructions = typed(parsed)
    assert len(instructions) == count
    static_findings(parsed, instructions)
    plan = make_plan(instructions, parsed.escape, build_args={}, platform=Platform.host())
    assert plan.stages[-1].index == plan.target
    lines = text.splitlines()
    for node in parsed.nodes:
        assert lines[node.location.first_line - 1].split()[0] == node.spelling
        assert tuple(lines[node.location.first_line - 1 : node.location.last_line]) == (
            node.location.excerpt
        )


_KEYWORDS = st.sampled_from(
    ["RUN", "run", "COPY", "ADD", "ENV", "ARG", "LABEL", "FROM", "CMD", "ENTRYPOINT", "VOLUME",
     "USER", "WORKDIR", "EXPOSE", "HEALTHCHECK", "ONBUILD", "SHELL", "STOPSIGNAL", "MAINTAINER"]
)  # fmt: skip
_PIECES = st.sampled_from(
    ["a", "a=b", "$x", "${y:-z}", "--from=a", "--chown=1", "--mount=type=cache,target=/c", "<<E",
     '["a", "b"]', "[", "/", "80/tcp", "CMD", "NONE", "AS", "b", "'q r'", '"', "\\", "--x", "#c"]
)  # fmt: skip
_LINES = st.builds(
    lambda keyword, pieces: " ".join([keyword, *pieces]),
    _KEYWORDS,
    st.lists(_PIECES, max_size=5),
)


@given(st.lists(_LINES, min_size=1, max_size=8), st.integers(0, 3))
def test_any_instructions_are_understood_or_refused_at_a_line(lines: list[str], above: int) -> None:
    text = "\n".join(lines) + "\n"
    try:
        parsed = parse(text, lines_above=above)
        instructions = typed(parsed)
        findings = static_findings(parsed, instructions)
        plan = make_plan(instructions, parsed.escape, build_args={}, platform=Platform.host())
    except DockerfileSyntaxError as error:
        places = [error.location]
    except ValueError:
        return  # an argument of the build, such as a platform, is refused
    else:
        places = [one.location for one in (*findings, *plan.findings) if one.location]
    for place in places:
        assert above < place.first_line <= place.last_line <= len(lines) + above
        if place.mark:
            line, column, length = place.mark
            assert 0 <= column <= len(place.excerpt[line])
            assert length > 0


@given(st.lists(st.tuples(_KEYWORDS, st.integers(0, 3), st.booleans()), min_size=1, max_size=12))
def test_positions_are_those_of_the_text(shape: list[tuple[str, int, bool]]) -> None:
    lines: list[str] = ["# a file", ""]
    expected = []
    for keyword, continued, comment in shape:
        first = len(lines) + 1
        lines += [f"{keyword} word \\"] if continued else [f"{keyword} word"]
        for number in range(continued):
            if comment:
                lines.append("  # inside")
            lines.append("  more" + (" \\" if number < continued - 1 else ""))
        expected.append((keyword.upper(), first, len(lines)))
        lines.append("")
    nodes = parse("\n".join(lines)).nodes
    found = [(node.keyword, node.location.first_line, node.location.last_line) for node in nodes]
    assert found == expected
