# A static binary and nothing else: no shell, no package manager, no root.
FROM golang:1.26-alpine AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=0 go build -trimpath -ldflags="-s -w" -o /out/annals ./cmd/annals \
 && mkdir -p /out/data

FROM gcr.io/distroless/static-debian12:nonroot
COPY --from=build /out/annals /usr/local/bin/annals
# A new volume takes over this folder's owner, so that the process can write.
COPY --from=build --chown=65532:65532 /out/data /data
USER 65532:65532
VOLUME /data
EXPOSE 8080
HEALTHCHECK --interval=5s --timeout=3s --start-period=60s \
  CMD ["/usr/local/bin/annals", "healthcheck"]
ENTRYPOINT ["/usr/local/bin/annals"]
CMD ["serve", "--data=/data"]
