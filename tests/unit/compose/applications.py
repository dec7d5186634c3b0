"""Whole applications, files that include and extend one another, and broken files."""

from __future__ import annotations

import re

TEXT = r"""
=== wordpress
--- compose.yaml
services:
  db:
    image: mariadb:10.6.4-focal
    command: '--default-authentication-plugin=mysql_native_password'
    volumes:
      - db_data:/var/lib/mysql
    restart: always
    environment:
      - MYSQL_ROOT_PASSWORD=some
      - MYSQL_DATABASE=press
    expose:
      - 3306
      - 33060
  press:
    image: wordpress:latest
    ports:
      - 80:80
    restart: always
    environment:
      - DB_HOST=db
volumes:
  db_data:
=== flask-redis
--- compose.yaml
services:
  redis:
    image: redislabs/redismod
    ports: ['6379:6379']
  web:
    build: {context: ., target: builder}
    stop_signal: SIGINT
    ports: ['8000:8000']
    volumes: ['.:/code']
    depends_on: [redis]
=== three-tiers
--- compose.yaml
x-logging: &logging
  driver: json-file
  options: {max-size: 10m, max-file: "3"}
x-env: &env
  TZ: UTC
  LEVEL: ${LEVEL:-info}
services:
  proxy:
    image: nginx:${NGINX_TAG:-1.27}
    ports: ["${PORT:-8080}:80"]
    logging: *logging
    networks: [front]
    depends_on:
      api: {condition: service_healthy}
    configs:
      - source: site
        target: /etc/nginx/conf.d/default.conf
  api:
    build:
      context: ./api
      args: {VERSION: "${VERSION:-dev}"}
    environment:
      <<: *env
      DATABASE_URL: postgres://app@db/app
    secrets: [password]
    logging: *logging
    networks: [front, back]
    healthcheck:
      test: [CMD, wget, -q, "http://localhost/health"]
      interval: 5s
      retries: 10
    depends_on:
      db: {condition: service_healthy, restart: true}
      migrate: {condition: service_completed_successfully}
    deploy:
      replicas: 3
      resources: {limits: {cpus: "0.5", memory: 256M}}
  migrate:
    build: ./api
    command: ["python", "migrate.py"]
    environment: *env
    networks: [back]
    depends_on: [db]
  db:
    image: postgres:17
    volumes: [data:/var/lib/postgresql/data]
    environment: {<<: *env, POSTGRES_PASSWORD_FILE: /run/secrets/password}
    secrets: [password]
    networks: {back: {aliases: [database]}}
    healthcheck: {test: pg_isready -U app, interval: 2s}
  adminer: {image: adminer, profiles: [debug], networks: [back]}
networks: {front: , back: {internal: true}}
volumes: {data: {labels: {keep: "yes"}}}
secrets: {password: {file: ./password.txt}}
configs:
  site:
    content: |
      server {
        listen 80;
        location / { proxy_pass http://api:$${PORT}; }
      }
--- .env
VERSION=1.2
NGINX_TAG=1.29
=== profiles
profiles: debug
--- compose.yaml
services:
  a: {image: a}
  b: {image: b, profiles: [debug]}
  c: {image: c, profiles: [test, debug]}
  d: {image: d, profiles: [test]}
=== profiles-none
--- compose.yaml
services:
  a: {image: a}
  b: {image: b, profiles: [debug], volumes: ["v:/x"]}
volumes: {v: }
=== profiles-all
profiles: *
--- compose.yaml
services:
  a: {image: a}
  b: {image: b, profiles: [debug], volumes: ["vv:/x"]}
volumes: {vv: }
=== profiles-needed
--- compose.yaml
services:
  a: {image: a, depends_on: [b]}
  b: {image: b, profiles: [debug]}
=== profiles-env
env: COMPOSE_PROFILES=debug,x
--- compose.yaml
services:
  a: {image: a}
  b: {image: b, profiles: [debug]}
=== name
--- compose.yaml
name: my-app
services: {a: {image: "x:${COMPOSE_PROJECT_NAME}"}}
=== name-env
env: COMPOSE_PROJECT_NAME=fromenv
--- compose.yaml
name: my-app
services: {a: {image: x}}
=== name-variable
--- compose.yaml
name: "${N:-app}-x"
services: {a: {image: x}}
=== name-bad
--- compose.yaml
name: My App
services: {a: {image: x}}
=== version
--- compose.yaml
version: "3.8"
services: {a: {image: x}}
=== version-number
--- compose.yaml
version: 3
services: {a: {image: x}}
=== compose-file-env
env: COMPOSE_FILE=one.yaml:two.yaml
--- one.yaml
services: {a: {image: x}}
--- two.yaml
services: {a: {command: y}}
=== yml
--- docker-compose.yml
services: {a: {image: x}}
=== both-names
--- docker-compose.yml
services: {a: {image: old}}
--- compose.yml
services: {a: {image: new}}
=== include
--- compose.yaml
include: [inc/one.yaml, {path: [inc/two.yaml, inc/over.yaml], project_directory: ., env_file: inc/two.env}]
services:
  a: {image: a, depends_on: [one, two], volumes: ["vo:/x"]}
--- inc/one.yaml
services: {one: {image: "one:${V}", volumes: ["./q:/q", "vo:/x"], networks: [ino], env_file: o.env, build: .}}
volumes: {vo: {name: "vo-${V}"}}
networks: {ino: }
configs: {co: {file: ./c}}
--- inc/.env
V=fromone
--- inc/o.env
Q=${V}
--- inc/two.yaml
services: {two: {image: "two:${V}", volumes: ["./q:/q"], build: .}}
--- inc/over.yaml
services: {two: {command: x}}
--- inc/two.env
V=fromtwo
=== include-conflict
--- compose.yaml
include: [one.yaml]
services: {one: {image: b}}
--- one.yaml
services: {one: {image: a}}
=== include-same
--- compose.yaml
include: [one.yaml, two.yaml]
--- one.yaml
services: {one: {image: a, networks: [n]}}
networks: {n: }
--- two.yaml
services: {two: {image: a, networks: [n]}}
networks: {n: }
=== include-twice
--- compose.yaml
include: [one.yaml, two.yaml]
--- one.yaml
include: [three.yaml]
services: {one: {image: a}}
--- two.yaml
include: [three.yaml]
services: {two: {image: a}}
--- three.yaml
services: {three: {image: t}}
=== include-cycle
--- compose.yaml
include: [one.yaml]
--- one.yaml
include: [two.yaml]
services: {one: {image: a}}
--- two.yaml
include: [one.yaml]
services: {two: {image: a}}
=== include-missing
--- compose.yaml
include: [none.yaml]
services: {a: {image: x}}
=== include-nested-dir
--- compose.yaml
include: [a/compose.yaml]
--- a/compose.yaml
include: [b/compose.yaml]
services: {a: {image: a, volumes: ["./x:/x"]}}
--- a/b/compose.yaml
services: {b: {image: b, volumes: ["./x:/x"], secrets: [s]}}
secrets: {s: {file: ./s}}
=== include-bad
--- compose.yaml
include: {path: x}
services: {a: {image: x}}
=== include-outer-env
env: V=outer
--- compose.yaml
include: [inc/one.yaml]
--- inc/one.yaml
services: {one: {image: "one:${V}-${W}"}}
--- inc/.env
V=inner
W=inner
--- .env
W=top
=== extends
--- compose.yaml
services:
  a: {extends: {file: sub/base.yaml, service: web}, environment: [A=2]}
  c: {extends: a, labels: [x]}
--- sub/base.yaml
services:
  web: {image: "web:${TAG:-1}", extends: mid, volumes: ["./rel:/rel"], env_file: e.env, build: {context: ./ctx, additional_contexts: {q: ./z}}, develop: {watch: [{path: ./w, action: rebuild}]}}
  mid: {image: mid, ports: ["1:1"], environment: {A: 1, M: 1}}
--- sub/e.env
X=1
=== extends-merges
--- compose.yaml
services:
  base: {image: x, command: a, ports: ["1:1"], volumes: ["./a:/a"], depends_on: [d], labels: {a: 1}, cap_add: [A], healthcheck: {test: a, retries: 2}, dns: 1.1.1.1}
  a: {extends: base, command: b, ports: ["1:1", "2:2"], volumes: ["./b:/a"], labels: [b=2], cap_add: [A, B], healthcheck: {interval: 1s}, dns: 2.2.2.2}
  d: {image: d}
=== extends-reset
--- compose.yaml
services:
  base: {image: x, command: a, ports: ["1:1"], environment: {A: 1}}
  a: {extends: base, ports: !reset [], command: !reset null, environment: !override {B: 2}}
=== extends-cycle
--- compose.yaml
services:
  a: {extends: b, image: x}
  b: {extends: c}
  c: {extends: a}
=== extends-cycle-files
--- compose.yaml
services:
  a: {extends: {file: other.yaml, service: b}}
--- other.yaml
services:
  b: {extends: {file: compose.yaml, service: a}}
=== extends-no-image
--- compose.yaml
services:
  a: {extends: {file: other.yaml, service: b}}
--- other.yaml
services:
  b: {command: x}
=== extends-network
--- compose.yaml
services:
  a: {extends: {file: other.yaml, service: b}}
--- other.yaml
services:
  b: {image: x, networks: [n]}
networks: {n: }
=== extends-override
given: compose.yaml over.yaml
--- compose.yaml
services:
  base: {image: x, environment: {A: 1}}
  a: {extends: base}
--- over.yaml
services:
  base: {environment: {A: 2}}
  a: {environment: {B: 1}}
=== extends-links
--- compose.yaml
services:
  base: {image: x, links: [d], network_mode: host, volumes_from: [d]}
  a: {extends: base}
  d: {image: d}
=== anchors
--- compose.yaml
x-a: &a {image: x, environment: &e {A: 1}}
services:
  one: *a
  two: {<<: *a, image: y}
  three: {<<: [{command: q}, *a], environment: {<<: *e, B: 2}}
  four:
    <<: *a
    environment: {B: 2}
=== anchors-list
--- compose.yaml
x-p: &p ["1:1"]
services:
  one: {image: x, ports: *p}
  two: {image: x, ports: [*q, "2:2"]}
=== merge-bad
--- compose.yaml
services:
  one: {<<: 5, image: x}
=== merge-twice
--- compose.yaml
x-a: &a {image: x}
services:
  one: {<<: *a, <<: *a}
=== externals
--- compose.yaml
services:
  a: {image: x, networks: [e, f, g], volumes: ["ve:/a", "vf:/b"], configs: [c], secrets: [s]}
networks: {e: {external: true}, f: {external: true, name: real}, g: {external: {name: old}}}
volumes: {ve: {external: true}, vf: {external: {name: "v${A:-1}"}}}
configs: {c: {external: true}}
secrets: {s: {external: true, name: z}}
=== external-conflict
--- compose.yaml
services: {a: {image: x, networks: [e]}}
networks: {e: {external: true, driver: bridge}}
=== external-volume-conflict
--- compose.yaml
services: {a: {image: x, volumes: ["ve:/a"]}}
volumes: {ve: {external: true, labels: [a]}}
=== external-false
--- compose.yaml
services: {a: {image: x, networks: [e]}}
networks: {e: {external: false}}
=== networks
--- compose.yaml
services: {a: {image: x, networks: [n, default]}}
networks:
  default: {name: mine, driver: bridge}
  n: {driver_opts: {a: 1, b: x}, ipam: {driver: default, config: [{subnet: 1.1.0.0/16, gateway: 1.1.1.1, ip_range: 1.1.1.0/24, aux_addresses: {a: 1.1.1.1}}], options: {a: b}}, internal: true, attachable: "true", enable_ipv6: true, enable_ipv4: false, labels: {a: 1}}
=== networks-default-external
--- compose.yaml
services: {a: {image: x}}
networks: {default: {external: true, name: outside}}
=== networks-host-only
--- compose.yaml
services: {a: {image: x, network_mode: host}}
=== volumes
--- compose.yaml
services: {a: {image: x, volumes: ["v:/v", "ww:/w", "xx:/x"]}}
volumes: {v: {driver: local, driver_opts: {o: bind, type: none, device: ./d}}, ww: {name: "n-${A}", labels: [a=b]}, xx: {driver_opts: {o: bind, device: ./d}}}
=== volumes-unused
--- compose.yaml
services: {a: {image: x}}
volumes: {v: }
networks: {n: }
configs: {c: {file: x}}
secrets: {s: {file: x}}
=== secret-empty
--- compose.yaml
services: {a: {image: x}}
secrets: {s: {}}
=== secret-two
--- compose.yaml
services: {a: {image: x}}
secrets: {s: {file: x, environment: HOME}}
=== config-two
--- compose.yaml
services: {a: {image: x}}
configs: {s: {file: x, content: HOME}}
=== secret-null
--- compose.yaml
services: {a: {image: x}}
secrets: {s: }
=== containers-same-name
--- compose.yaml
services: {a: {image: x, container_name: q1}, b: {image: x, container_name: q1}}
=== container-name-scale
--- compose.yaml
services: {a: {image: x, container_name: q1, scale: 2}}
=== scale-conflict
--- compose.yaml
services: {a: {image: x, scale: 2, deploy: {replicas: 3}}}
=== limit-conflict
--- compose.yaml
services: {a: {image: x, mem_limit: 1g, deploy: {resources: {limits: {memory: 2g}}}}}
=== limit-same
--- compose.yaml
services: {a: {image: x, mem_limit: 1g, cpus: 0.5, deploy: {resources: {limits: {memory: 1024m, cpus: "0.50"}}}}}
=== cycle
--- compose.yaml
services: {a: {image: x, depends_on: [b]}, b: {image: x, depends_on: [c]}, c: {image: x, links: [a]}}
=== empty
--- compose.yaml
=== no-services
--- compose.yaml
networks: {a: }
=== services-null
--- compose.yaml
services:
=== services-list
--- compose.yaml
services: [a]
=== service-null
--- compose.yaml
services: {a: }
=== service-text
--- compose.yaml
services: {a: x}
=== service-name
--- compose.yaml
services: {"a b": {image: x}}
=== service-name-dots
--- compose.yaml
services: {a.b-c_D: {image: x}}
=== unknown-top
--- compose.yaml
service: {a: {image: x}}
=== scalar
--- compose.yaml
hello
=== list
--- compose.yaml
- a
=== twice
--- compose.yaml
services:
  a: {image: x}
  a: {image: y}
=== twice-key
--- compose.yaml
services:
  a:
    image: x
    image: y
=== tab
--- compose.yaml
services:
	a: {image: x}
=== indent
--- compose.yaml
services:
  a:
    image: x
   command: y
=== open-flow
--- compose.yaml
services: {a: {image: x}
=== open-quote
--- compose.yaml
services: {a: {image: "x}}
=== colon
--- compose.yaml
services:
  a:
    image: x: y
=== percent
--- compose.yaml
services:
  a:
    image: %x
=== at
--- compose.yaml
services:
  a:
    image: @x
=== number-key
--- compose.yaml
services:
  1: {image: x}
=== bool-key
--- compose.yaml
services:
  a: {image: x, labels: {true: 1}}
=== on-key
--- compose.yaml
services:
  a: {image: x, labels: {on: 1, y: 2, no: 3}}
=== self-alias
--- compose.yaml
services:
  a: &a {image: x, labels: *a}
=== block-texts
--- compose.yaml
services:
  a:
    image: x
    command: >
      sh -c "echo a
      b"
    environment:
      A: |
        one
        two
      B: "x\ty\u263a"
      C: |-
        three
    labels:
      q: 'it''s'
=== x-everywhere
--- compose.yaml
x-top: {a: 1, b: [1, 2], c: null, d: "$$x ${A:-y}"}
services:
  a: {image: x, x-s: 1, build: {context: ., x-b: 1}, deploy: {x-d: 1}, healthcheck: {test: a, x-h: 1}, networks: {default: {x-n: 1}}, logging: {x-l: 1}, ports: [{target: 1, x-p: 1}], volumes: [{type: volume, target: /a, x-v: 1}]}
networks: {default: {x-n: 1}}
=== models
--- compose.yaml
services: {a: {image: x, models: [m]}, b: {image: x, models: {m: {endpoint_var: E, model_var: M}}}}
models: {m: {model: ai/x, context_size: 3, runtime_flags: [a]}}
=== models-empty
--- compose.yaml
services: {a: {image: x}}
models: {m: {}}
=== unset-everywhere
--- compose.yaml
services:
  a: {image: "x:${NONE}", ports: ["${P:-80}:80"], privileged: "${B:-true}", scale: "${N:-2}", mem_limit: "${M:-1g}", healthcheck: {retries: "${R:-3}", interval: "${I:-1s}"}, deploy: {resources: {limits: {pids: "${Q:-4}"}}}, ulimits: {nofile: "${U:-5}"}, cpus: "${C:-0.5}", init: "${T:-yes}", stop_grace_period: "${S:-1m}"}
=== bad-cast
--- compose.yaml
services: {a: {image: x, scale: "${N:-two}"}}
=== bad-cast-bool
--- compose.yaml
services: {a: {image: x, tty: "${N:-two}"}}
=== env-file-order
--- compose.yaml
services: {a: {image: x, env_file: [a.env, b.env], environment: {X: here}}}
--- a.env
X=a
Y=a
Z=${Y}
--- b.env
Y=b
W=${Z}-${X}
=== env-file-bad
--- compose.yaml
services: {a: {image: x, env_file: a.env}}
--- a.env
A B=1
=== env-file-name-only
env: Q=outer
--- compose.yaml
services: {a: {image: x, env_file: a.env}}
--- a.env
Q
R
=== many-services
--- compose.yaml
services: {a1: {image: x}, a2: {image: x, depends_on: [a1]}, a3: {image: x, depends_on: [a2]}, a4: {image: x, depends_on: [a1, a3]}, a5: {image: x, depends_on: [a4]}}
=== volume-name-case
--- compose.yaml
services: {a: {image: x, volumes: ["My.Vol-1:/a"]}}
volumes: {My.Vol-1: }
=== volume-name-bad
--- compose.yaml
services: {a: {image: x}}
volumes: {"a b": }
=== secrets-env
--- compose.yaml
services: {a: {image: x, secrets: [s]}}
secrets: {s: {environment: NOPE}}
=== config-content
--- compose.yaml
services: {a: {image: x, configs: [c]}}
configs: {c: {content: "v=${V:-1} $$x"}}
=== missing-given
given: none.yaml
--- compose.yaml
services: {a: {image: x}}
=== crlf
--- compose.yaml
services:CR
  a:CR
    image: xCR
=== bom
--- compose.yaml
BOMservices: {a: {image: x}}
"""


def cases() -> dict[str, object]:
    from tests.unit.compose.cases import Case

    found: dict[str, object] = {}
    for block in re.split(r"^=== ", TEXT.lstrip("\n"), flags=re.MULTILINE)[1:]:
        name, _, rest = block.partition("\n")
        head, *files = re.split(r"^--- ", rest, flags=re.MULTILINE)
        facts = dict(line.split(": ", 1) for line in head.splitlines())
        contents = {}
        for file in files:
            path, _, text = file.partition("\n")
            contents[path] = text.replace("CR\n", "\r\n").replace("BOM", "\ufeff")
        environment = dict(item.split("=", 1) for item in facts.get("env", "").split() if item)
        found[name] = Case(
            contents,
            tuple(facts.get("given", "").split()),
            tuple(facts.get("profiles", "").split()),
            environment,
            whole=True,
        )
    return found
