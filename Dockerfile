# One image that trains and serves: `docker run IMAGE train`, `docker run IMAGE serve`.
# Builds with BuildKit and with the classic builder alike, so no RUN --mount and no COPY --chmod.

# The public ECR gallery sets no pull limit on builds inside AWS. Any mirror or digest may be given,
# such as --build-arg BASE_IMAGE=debian@sha256:...
ARG BASE_IMAGE=public.ecr.aws/docker/library/debian:trixie-slim

# The package that is the algorithm, and the folder it stands in: ./new.sh writes its name here;
# --build-arg ALGORITHM=mock_model --build-arg FOLDER=examples/mock puts another one into the image.
ARG ALGORITHM=taxi_fare
ARG FOLDER=container

FROM ${BASE_IMAGE} AS system

# libgomp1: OpenMP, which LightGBM's wheel takes from the system
# nginx: takes slow clients off the workers; the plain package is smaller than nginx-light
# python3: 3.13, also the virtual environment's
# Nothing in the image needs the rights of a file's owner: no setuid and setgid bits.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends \
        libgomp1 \
        nginx \
        python3 \
    && rm -rf /var/cache/apt/* /var/lib/apt/lists/* \
    && find / -xdev -type f -perm /6000 -exec chmod a-s '{}' +


FROM system AS dependencies

# python3-pip: installs into the virtual environment from outside, which so holds no pip
RUN apt-get update \
    && apt-get install --yes --no-install-recommends \
        python3-pip \
    && rm -rf /var/cache/apt/* /var/lib/apt/lists/* \
    && python3 -m venv --without-pip /opt/venv

COPY requirements.txt /tmp/

RUN python3 -m pip --python /opt/venv/bin/python3 install --no-cache-dir --no-compile \
        --only-binary :all: --require-hashes --requirement /tmp/requirements.txt

# 160 MB that nothing uses when training or serving: these packages' own tests, what compilers read
# of them, pyarrow's network protocol Flight and what its wheel holds three times for linkers, the
# compiled twins of fontTools' Python files, and what botocore knows of AWS's services beside S3 and
# those that give credentials (where your algorithm calls others, take out the last find). Packages
# that you add stay whole.
# Bytecode is never compared with its source: file times do not survive every way of copying an
# image, and with a read-only root or another user id it could not be written again.
RUN for package in fontTools gevent greenlet matplotlib mpl_toolkits numpy onnxruntime pandas \
        pyarrow scipy sklearn skops; do \
        folder=$(echo /opt/venv/lib/python3*/site-packages/"$package"); \
        [ -d "$folder" ] || continue; \
        find "$folder" -depth -type d -name tests -exec rm -r '{}' + ; \
        find "$folder" -type f \
            -regex '.*\.\(a\|c\|cc\|cpp\|h\|hpp\|pxd\|pxi\|pyi\|pyx\)' -delete; \
        find "$folder" -type d -empty -delete; \
    done \
    && rm -rf /opt/venv/lib/python3*/site-packages/pyarrow/*flight* \
        /opt/venv/lib/python3*/site-packages/pyarrow/libarrow_python*.so \
        /opt/venv/lib/python3*/site-packages/pyarrow/libarrow_python*.so.*.* \
    && find /opt/venv/lib/python3*/site-packages/fontTools -name '*.so' -delete \
    && find /opt/venv/lib/python3*/site-packages/botocore/data -mindepth 1 -maxdepth 1 -type d \
        ! -name s3 ! -name sts ! -name 'sso*' ! -name signin -exec rm -r '{}' + \
    && /opt/venv/bin/python3 -m compileall -q -j 0 --invalidation-mode unchecked-hash /opt/venv/lib


FROM system AS program

ARG ALGORITHM
ARG FOLDER

COPY container /opt/program
COPY ${FOLDER} /opt/packages
# Watching and comparing models runs in the image too, as processing jobs.
COPY monitoring /opt/packages/monitoring

# 1. Beside sagemaker_runtime stand the algorithm and the packages that stand beside it in FOLDER.
# 2. A Windows line ending makes "python3\r: No such file or directory" of a script's first line.
# 3. Run bits get lost on file systems without them; the platform may use any user id.
# 4. The program's bytecode is compared with its source, so that a file mounted over it counts.
WORKDIR /opt/program
RUN for folder in */; do \
        [ "$folder" = sagemaker_runtime/ ] || [ ! -e "$folder/__init__.py" ] || rm -r "$folder"; \
    done \
    && for init in /opt/packages/*/__init__.py; do \
        folder=$(dirname "$init"); \
        [ "$(basename "$folder")" = sagemaker_runtime ] || cp -r "$folder" .; \
    done \
    && if [ ! -f "$ALGORITHM/__init__.py" ]; then \
        echo "there is no package '$ALGORITHM' in $FOLDER/; name the algorithm: --build-arg ALGORITHM=..."; \
        exit 1; \
    fi \
    && if crlf=$(grep -rlI --include=train --include=serve --include='*.py' --include='*.conf' \
            "$(printf '\r')\$" .); then \
        echo "Windows line endings (CRLF) in: $crlf"; \
        echo "Remedy: dos2unix FILE, or check it out again: .gitattributes asks git for LF."; \
        exit 1; \
    fi \
    && chmod -R u=rwX,go=rX . \
    && chmod 755 train serve \
    && python3 -m compileall -q --invalidation-mode checked-hash .


FROM system AS native

# gcc, libc6-dev: compile the packages' C sources; neither leaves this stage
RUN apt-get update \
    && apt-get install --yes --no-install-recommends \
        gcc \
        libc6-dev \
    && rm -rf /var/cache/apt/* /var/lib/apt/lists/*

COPY --from=program /opt/program /opt/program
RUN bash /opt/program/compile.sh


FROM system

# PYTHONUNBUFFERED: log lines reach CloudWatch when they are written, not when a buffer is full.
# PYTHONDONTWRITEBYTECODE: the bytecode is in the image, and the root may be read-only.
ENV PATH=/opt/program:/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1

COPY --from=dependencies /opt/venv /opt/venv
COPY --from=native /opt/program /opt/program

# The package that train and serve take; others beside it are its helpers.
ARG ALGORITHM
ENV ALGORITHM=${ALGORITHM}

WORKDIR /opt/program

# Only what works: the server listens where SAGEMAKER_BIND_TO_PORT says.
# https://docs.aws.amazon.com/sagemaker/latest/dg/inference-pipeline-real-time.html
LABEL com.amazonaws.sagemaker.capabilities.accept-bind-to-port=true

# No entry point in front, so the platform's argument is the command and gets the signals itself.
# Without an argument (the SageMaker SDK 3's local mode) it trains.
ENTRYPOINT []
CMD ["train"]

# Last, because they change with every commit.
ARG SOURCE=""
ARG VERSION=""
ARG REVISION=""
ENV CODE_REVISION=${REVISION}
LABEL org.opencontainers.image.source="${SOURCE}" \
    org.opencontainers.image.version="${VERSION}" \
    org.opencontainers.image.revision="${REVISION}"
