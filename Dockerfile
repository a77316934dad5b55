# The two images, for people who have Docker; ./dev image makes the same ones without it.
#   docker build --target operator -t localhost/orrery-operator:dev .
#   docker build --target sidecar  -t localhost/orrery-sidecar:dev .
FROM debian:12 AS build
WORKDIR /src
COPY dev /src/dev
RUN ./dev setup build image
COPY . /src
RUN ./dev build orrery-operator orrery-sidecar orrery \
 && python3 cmake/image/oci_image.py --bin build/release/bin --out /images --trees

FROM scratch AS operator
COPY --from=build /images/orrery-operator/ /
ENV PATH=/usr/bin
USER 65532:65532
ENTRYPOINT ["/usr/bin/orrery-operator"]

FROM scratch AS sidecar
COPY --from=build /images/orrery-sidecar/ /
ENV PATH=/usr/bin
USER 65532:65532
ENTRYPOINT ["/usr/bin/orrery-sidecar"]
