# One image for the API, the workers and Flower; what each runs stands in compose.yaml.
FROM python:3.11-slim

RUN useradd --create-home chaingraph
WORKDIR /srv/chaingraph

# First what changes rarely.
COPY requirements.txt ./
RUN pip install --no-cache-dir -r requirements.txt

COPY pyproject.toml setup.py packing.py requirements-otel.txt README.md flowerconfig.py ./
COPY app app
COPY chaingraph chaingraph
COPY tasks tasks
COPY web web
COPY migrations migrations
COPY samples samples
# What runs here are these files, under the names that they have here.
RUN pip install --no-cache-dir --no-deps --editable .

USER chaingraph
EXPOSE 4021
CMD ["gunicorn", "-c", "python:web.gunicorn_conf", "web:create_app()"]
