"""The same intake as a Python team would write it: FastAPI, pydantic, uvloop. It checks what headgate checks as far as
pydantic does so by itself (types, required and unknown keys, camelCase), and keeps nothing: there is no disk in it."""
import re
from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel, Field, field_validator, model_validator

CAMEL = re.compile(r"[a-z][A-Za-z0-9]*\Z")
app = FastAPI()
taken = 0


class Row(BaseModel):
    index: int | None = Field(default=None, ge=0, le=2**53 - 1)
    data: dict[str, Any]

    @field_validator("data")
    @classmethod
    def keys_are_camel_case(cls, data):
        for key in data:
            if not CAMEL.match(key):
                raise ValueError(f"{key} is not camelCase")
        return data


class RowSet(BaseModel):
    uuid: str = Field(min_length=1, max_length=128)
    row: Row | None = None
    rows: list[Row] | None = Field(default=None, max_length=100000)

    @model_validator(mode="after")
    def one_of_both(self):
        if (self.row is None) == (self.rows is None):
            raise ValueError("exactly one of row and rows")
        return self


@app.post("/v1/rows", status_code=202)
async def take(rows: RowSet):
    global taken
    count = 1 if rows.row is not None else len(rows.rows)
    taken += count
    return {"id": str(taken), "uuid": rows.uuid, "rows": count, "durability": "none"}
