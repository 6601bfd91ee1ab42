"""What an operation of the OpenAPI document can answer by its form; a view declares only what is its own.

That are the problems, and the answers with phase 1's keys where `keys=camel` can be asked for.
"""

from collections.abc import Iterator
from http import HTTPStatus

from latentmas.rest.answers import CAMEL_NAMES, Json
from latentmas.rest.parameters import camel_case

CONTENT = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/ProblemOutput"}}}
WAIT = ("Retry-After", "RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset")
METHODS = {"get", "post", "put", "patch", "delete"}
NO_ACCOUNT: Json = {}  # among the ways to authenticate
COMPONENTS = "#/components/schemas/"


def with_problems(result: Json, **_: object) -> Json:
    """Document every status that follows from what an operation takes, where its view does not do so itself."""
    for method, operation in _operations(result):
        responses = operation["responses"]
        for status in sorted(set(_statuses(method, operation))):
            responses.setdefault(str(status), _problem(status))
    return result


def with_camel_keys(result: Json, **_: object) -> Json:
    """Document the answers with camelCase keys beside the usual ones, where an operation takes `keys`."""
    schemas = result["components"]["schemas"]
    for _method, operation in _operations(result):
        if any(each["name"] == "keys" for each in operation.get("parameters", [])):
            for response in operation["responses"].values():
                answer = response.get("content", {}).get("application/json")
                if answer is not None:
                    answer["schema"] = {"anyOf": [answer["schema"], _camel(answer["schema"], schemas)]}
    return result


def _operations(result: Json) -> Iterator[tuple[str, Json]]:
    for path in result["paths"].values():
        for method in sorted(METHODS & path.keys()):
            yield method, path[method]


def _camel(schema: Json, schemas: Json, *, inside: str = "") -> Json:
    """Return the schema with the keys that `answers.answer` gives; components are added beside those they are of."""
    if "$ref" in schema:
        name = schema["$ref"].removeprefix(COMPONENTS)
        if "properties" not in schemas[name]:
            return schema
        if f"{name}Camel" not in schemas:
            schemas[f"{name}Camel"] = {}  # it may hold itself
            schemas[f"{name}Camel"] |= _camel(schemas[name], schemas, inside=inside)
        return {"$ref": f"{COMPONENTS}{name}Camel"}
    changed = dict(schema)
    if "properties" in schema:
        names = {name: camel_case(name) for name in schema["properties"]}
        if inside == "metrics":
            names = {name: CAMEL_NAMES.get(camel, camel) for name, camel in names.items()}
        fields = schema["properties"].items()
        changed["properties"] = {names[name]: _camel(field, schemas, inside=name) for name, field in fields}
        if "required" in schema:
            changed["required"] = [names[name] for name in schema["required"]]
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            changed[key] = _camel(schema[key], schemas, inside=inside)
    for key in ("allOf", "anyOf", "oneOf"):
        if key in schema:
            changed[key] = [_camel(each, schemas, inside=inside) for each in schema[key]]
    return changed


def _statuses(method: str, operation: Json) -> Iterator[int]:
    security = operation.get("security", [])
    headers = {each["name"] for each in operation.get("parameters", []) if each["in"] == "header"}
    others = [each for each in operation.get("parameters", []) if each["in"] != "header"]
    yield from (400, 422, 429)
    if security != [NO_ACCOUNT]:
        yield 401  # a wrong token is refused where none is needed, too
        if method != "get" or NO_ACCOUNT not in security:
            yield 403
    if others:
        yield 404
    if method != "get":
        yield from (409, 503)
    if "requestBody" in operation:
        yield from (411, 413, 415, 507)
    if "If-Match" in headers:
        yield from (412, 428)


def _problem(status: int) -> Json:
    document: Json = {"description": HTTPStatus(status).phrase, "content": CONTENT}
    if status == 429:
        document["headers"] = {name: {"schema": {"type": "integer"}} for name in WAIT}
    return document
