# k8sk8s as an image: the command line, and what the CronJob of `k8sk8s backup schedule --image` runs.
#   docker build -t REGISTRY/k8sk8s:0.1.0 .
FROM docker.io/library/node:24-slim AS build
WORKDIR /src
COPY . .
# What is packed is what package.json says is published, and needs no module beside it.
RUN npm ci && npm pack --pack-destination /tmp && mkdir /package \
  && tar -xzf /tmp/k8sk8s-*.tgz -C /package --strip-components=1

FROM docker.io/library/node:24-slim
COPY --from=build /package /usr/local/lib/k8sk8s
USER 65532:65532
ENTRYPOINT ["node", "/usr/local/lib/k8sk8s/dist/cli.js"]
