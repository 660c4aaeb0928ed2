# A registry with basic auth: user `tester`, password from the environment.
htpasswd -Bbn tester "$REGISTRY_TOKEN" > /htpasswd
cat > /config.yml <<YAML
version: 0.1
storage: {filesystem: {rootdirectory: /data}}
http: {addr: ":5000"}
auth: {htpasswd: {realm: registry, path: /htpasswd}}
YAML
exec docker-registry serve /config.yml
