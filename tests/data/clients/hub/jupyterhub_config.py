"""A hub whose users' servers DockerSpawner starts; nothing stands before them."""

import os

from jupyterhub.proxy import Proxy

c = get_config()  # noqa: F821  # of traitlets


class NoProxy(Proxy):
    """Routes are written down and not served: the test asks a user's server itself."""

    should_start = False
    routes = {}  # noqa: RUF012  # one hub

    async def add_route(self, routespec, target, data):
        self.routes[routespec] = {"routespec": routespec, "target": target, "data": data}

    async def delete_route(self, routespec):
        self.routes.pop(routespec, None)

    async def get_all_routes(self):
        return self.routes


c.JupyterHub.proxy_class = NoProxy
c.JupyterHub.spawner_class = "dockerspawner.DockerSpawner"
c.JupyterHub.authenticator_class = "dummy"
c.Authenticator.allow_all = True
c.JupyterHub.hub_ip = "0.0.0.0"
c.JupyterHub.hub_port = int(os.environ["HUB_PORT"])
c.JupyterHub.hub_connect_ip = os.environ["HUB_ADDRESS"]
c.JupyterHub.db_url = "sqlite://"
c.JupyterHub.cookie_secret = os.urandom(32)
c.JupyterHub.cleanup_servers = True
c.DockerSpawner.image = "hubuser:1"
c.DockerSpawner.remove = True
c.DockerSpawner.use_internal_ip = True
c.DockerSpawner.volumes = {"home-{username}": "/home/jovyan/work"}
c.Spawner.http_timeout = c.Spawner.start_timeout = 120
c.JupyterHub.services = [{"name": "test", "api_token": os.environ["HUB_TOKEN"]}]
scopes = ["admin:users", "admin:servers", "access:servers"]
c.JupyterHub.load_roles = [{"name": "test", "scopes": scopes, "services": ["test"]}]
