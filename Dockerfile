# The login example, for `docker compose up`.

FROM rust:1-slim-bookworm AS build
WORKDIR /build
COPY . .
RUN cargo build --release --locked --example login --features redis \
 && strip --strip-all target/release/examples/login

FROM debian:bookworm-slim
COPY --from=build /build/target/release/examples/login /usr/local/bin/login
USER 65534:65534
ENV KEYCARD_LISTEN=0.0.0.0:3000
EXPOSE 3000
# The image has no curl; bash can speak enough HTTP for a health check.
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s --retries=3 \
  CMD ["bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/3000 && printf 'GET /health HTTP/1.0\\r\\n\\r\\n' >&3 && grep -q '^ok' <&3"]
ENTRYPOINT ["login"]
