#!/usr/bin/env python3
"""Compares answers with an OpenAPI 3.1 description.

  check_answers.py DESCRIPTION ANSWERS

ANSWERS is a JSON list of {method, template, status, body}. Prints one line for
each answer that the description does not allow, members that it does not name
included; the exit code is 1 when there is one.
"""
import json
import re
import sys

import jsonschema

formats = jsonschema.FormatChecker(formats=("uuid", "email"))


@formats.checks("date-time")
def is_api_time(value):
    return not isinstance(value, str) or re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", value) is not None


@formats.checks("uri")
def is_uri(value):
    return not isinstance(value, str) or re.match(r"[a-z][a-z0-9+.-]*:[^\s]", value) is not None


def parts_of_allof(node, found):
    """Names of the components that are one part of a larger object."""
    if isinstance(node, dict):
        for part in node.get("allOf", []):
            if "$ref" in part:
                found.add(part["$ref"].rsplit("/", 1)[-1])
        for value in node.values():
            parts_of_allof(value, found)
    elif isinstance(node, list):
        for value in node:
            parts_of_allof(value, found)
    return found


def close(node, is_part=False):
    """Allows no member beside the named ones."""
    if isinstance(node, list):
        for value in node:
            close(value)
    if not isinstance(node, dict):
        return
    for key, value in node.items():
        if key == "allOf":
            for part in value:
                close(part, is_part=True)
        elif key in ("properties", "$defs"):
            for member in value.values():
                close(member)
        elif key not in ("example", "examples", "enum", "const", "default"):
            close(value)
    names_members = isinstance(node.get("properties"), dict) or "allOf" in node
    if names_members and not is_part and "additionalProperties" not in node:
        node["unevaluatedProperties"] = False


def resolve(document, node):
    while isinstance(node, dict) and "$ref" in node:
        step = document
        for name in node["$ref"].lstrip("#/").split("/"):
            step = step[name.replace("~1", "/").replace("~0", "~")]
        node = step
    return node


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        document = json.load(file)
    with open(sys.argv[2], encoding="utf-8") as file:
        answers = json.load(file)
    schemas = document["components"]["schemas"]
    parts = parts_of_allof(document, set())
    for name, schema in schemas.items():
        close(schema, is_part=name in parts)
    bad = 0
    for answer in answers:
        what = f"{answer['method']} {answer['template']} {answer['status']}"
        operation = document["paths"].get(answer["template"], {}).get(answer["method"].lower())
        if operation is None:
            print(f"{what}: no such operation")
            bad += 1
            continue
        described = operation["responses"].get(str(answer["status"]))
        if described is None:
            print(f"{what}: no such status")
            bad += 1
            continue
        content = resolve(document, described).get("content", {})
        if "text/html" in content:
            if not answer["body"].startswith("<!doctype html>"):
                print(f"{what}: no page")
                bad += 1
            continue
        if "application/json" not in content:
            print(f"{what}: no such body")
            bad += 1
            continue
        schema = content["application/json"]["schema"]
        if "$ref" not in schema:
            close(schema)
        schema = {"allOf": [schema], "components": document["components"]}
        validator = jsonschema.Draft202012Validator(schema, format_checker=formats)
        for error in validator.iter_errors(json.loads(answer["body"])):
            while error.context:
                error = jsonschema.exceptions.best_match([error])
                if error.context:
                    error = error.context[0]
            print(f"{what}: {'/'.join(map(str, error.absolute_path)) or '(all)'}: {error.message[:300]}")
            bad += 1
    print(f"{len(answers)} answers, {bad} faults")
    return 1 if bad or not answers else 0


if __name__ == "__main__":
    sys.exit(main())
