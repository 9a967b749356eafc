# docker build -t kaiwa .                               models on this machine, no key needed
# docker build -t kaiwa --build-arg LOCAL_ENGINES=0 .   for cloud engines only: a smaller image
# docker run -p 7860:7860 -v kaiwa-models:/models kaiwa
# deploy/build_in_chroot.py carries these steps out where there is no Docker.
FROM python:3.11-slim-bookworm

ENV PYTHONUNBUFFERED=1 \
    HOST=0.0.0.0 \
    PORT=7860 \
    MODELS_DIR=/models

# A new volume takes over the owner of the folder that it is mounted on. Gradio keeps a share link's certificate in /app.
RUN useradd --uid 1000 --create-home kaiwa \
    && install --directory --owner=kaiwa --group=kaiwa /app /models

ARG LOCAL_ENGINES=1

# llama.cpp's wheel takes OpenMP from the system. Everything else that wheels need is in them or in Python's image.
RUN if [ "$LOCAL_ENGINES" != 0 ]; then \
        apt-get update \
        && apt-get install --yes --no-install-recommends libgomp1 \
        && rm -rf /var/lib/apt/lists/*; \
    fi

WORKDIR /app

COPY requirements.txt requirements.lock ./
# Of faster-whisper the voice detector's weights are needed in any case, not what it runs on.
RUN if [ "$LOCAL_ENGINES" = 0 ]; then \
        sed -i '/^# The local engines/,$d' requirements.txt \
        && pip install --no-cache-dir --no-deps faster-whisper -c requirements.lock; \
    fi \
    && pip install --no-cache-dir -r requirements.txt -c requirements.lock

COPY app.py ./
COPY voice voice

USER kaiwa
VOLUME /models
EXPOSE 7860

# Models are fetched before the page is served: on a slow line the first start takes a while.
# http.client, unlike urllib, never asks a proxy for a page of this very machine.
HEALTHCHECK --interval=30s --timeout=10s --start-period=30m --retries=3 \
    CMD ["python", "-c", "import http.client, os, sys; page = http.client.HTTPConnection('127.0.0.1', int(os.environ['PORT']), timeout=8); page.request('GET', '/healthz'); sys.exit(page.getresponse().status != 200)"]

CMD ["python", "app.py"]
