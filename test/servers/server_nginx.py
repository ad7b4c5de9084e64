"""nginx, from the distribution, as what speaks TLS before a server that cannot: the real OpenSearch from Maven has no TLS."""
import kit


class Nginx(kit.Server):
    """Start it with `tls`. It hands everything on to the loopback port `behind`, also while nobody listens there."""

    name, version, packages = "nginx", "1", True
    behind = 0

    def command(self):
        lines = ["daemon off; worker_processes 1; error_log stderr; events {}", f"pid {self.dir}/nginx.pid;", "http {",
                 f"  access_log off; client_max_body_size 64m; client_body_buffer_size 1m; client_body_temp_path {self.dir}/body;",
                 f"  proxy_temp_path {self.dir}/proxy; fastcgi_temp_path {self.dir}/f; uwsgi_temp_path {self.dir}/u;",
                 f"  scgi_temp_path {self.dir}/s;", f"  server {{ listen 127.0.0.1:{self.port} ssl;",
                 f"    ssl_certificate {self.cert}; ssl_certificate_key {self.key};",
                 f"    ssl_client_certificate {self.cert}; ssl_verify_client {'on' if self.mutual else 'off'};",
                 f"    location / {{ proxy_pass http://127.0.0.1:{self.behind}; proxy_buffering off; }} }}", "}"]
        conf = self.dir / "conf"
        conf.write_text("\n".join(lines) + "\n")
        self.give(conf)
        return ["/usr/sbin/nginx", "-p", self.dir, "-e", "stderr", "-c", conf]
