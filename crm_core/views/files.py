"""Files of records and finished exports: put on, downloaded, taken off; each by the rights of what it belongs to."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from pyramid.config import Configurator
from pyramid.httpexceptions import HTTPNotFound
from pyramid.request import Request
from pyramid.response import FileResponse, Response
from pyramid.view import view_config

from crm_core import files
from crm_core.db import RecordRef
from crm_core.i18n import _
from crm_core.models import JobRow
from crm_core.models.records import File
from crm_core.records import operations, saving
from crm_core.views.filling import go, safe_next, say
from crm_core.views.toasts import toast


class FileContext:
    """A file that this person may see; 404 for everyone else."""

    def __init__(self, request: Request) -> None:
        self.record: File | None = request.gate.get(files.FILE, int(request.matchdict["id"]))
        if self.record is None:
            raise HTTPNotFound


def serve(request: Request, digest: str, name: str, content_type: str, disposition: str = "attachment") -> Response:
    """Answer a stored content under a name; never run by the browser, never guessed at."""
    path = request.file_store.path(digest)
    if not path.is_file():
        raise HTTPNotFound
    response = FileResponse(str(path), request=request, content_type=content_type)
    plain = name.encode("ascii", "replace").decode().replace('"', "'").replace("?", "_")
    headers = response.headers
    headers["Content-Disposition"] = f"{disposition}; filename=\"{plain}\"; filename*=UTF-8''{quote(name)}"
    headers["Cache-Control"] = "private, no-cache"
    # Even a picture is shown in a sandbox: it may be opened as a page of its own.
    headers["Content-Security-Policy"] = "default-src 'none'; img-src 'self'; sandbox"
    return response


@view_config(route_name="files.show", request_method="GET", permission=files.VIEW)
def download(context: FileContext, request: Request) -> Response:
    """Send a file."""
    found = context.record
    assert found is not None
    return serve(request, found.digest, found.name, found.content_type, files.disposition(found))


@view_config(route_name="files.attach", request_method="POST", permission=files.VIEW)
def attach(request: Request) -> Any:
    """Put files on a record that the person may change."""
    try:
        ref = RecordRef.parse(f"{request.matchdict['entity']}:{request.matchdict['id']}")
    except ValueError:
        raise HTTPNotFound from None
    entity = request.registry["crm.plugins"].entities.get(ref.entity)
    if entity is None or not request.gate.visible_ids(entity, [ref.id]):
        raise HTTPNotFound
    taken = 0
    for upload in request.POST.getall("file"):
        if not hasattr(upload, "file"):
            continue
        try:
            files.attach(request.gate, request.file_store, ref.entity, ref.id, upload.filename, upload.file)
            taken += 1
        except (files.FileError, saving.NotAllowed) as error:
            toast(request, say(request, error.message), "danger")
    if taken:
        operation = operations.current(request.db)
        toast(request, _("The file is on the record"), undo_href=f"/operations/{operation}/undo")
    return go(request, safe_next(request.POST.get("next") or f"{entity.url}/{ref.id}"))


@view_config(route_name="files.delete", request_method="POST", permission=files.DELETE)
def delete(context: FileContext, request: Request) -> Any:
    """Take a file off its record; it can be put back."""
    found = context.record
    assert found is not None
    saving.trash(request.gate, files.FILE, [found.id])
    operation = operations.current(request.db)
    toast(request, _("The file is in the trash"), undo_href=f"/operations/{operation}/undo")
    return go(request, safe_next(request.POST.get("next")))


@view_config(route_name="exports.show", request_method="GET")
def export(request: Request) -> Response:
    """Send a finished export to the one who asked for it."""
    job = request.db.get(JobRow, int(request.matchdict["id"]))
    result = (job.result or {}) if job is not None else {}
    if job is None or job.name != "core.export" or job.user_id != request.subject.user_id or "digest" not in result:
        raise HTTPNotFound
    kind = "text/csv" if result["format"] == "csv" else files.content_type(b"PK\x03\x04", "export.xlsx")
    return serve(request, result["digest"], result["name"], kind)


def includeme(config: Configurator) -> None:
    """Add the addresses of files and exports."""
    config.add_route("files.show", r"/files/{id:\d{1,18}}", factory=FileContext)
    config.add_route("files.delete", r"/files/{id:\d{1,18}}/delete", factory=FileContext)
    config.add_route("files.attach", r"/files/of/{entity}/{id:\d{1,18}}")
    config.add_route("exports.show", r"/exports/{id:\d{1,18}}")
    config.scan(__name__)
