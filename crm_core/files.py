"""Files: contents kept once under their digest, records of who has put which content where.

A file is seen by those who see the record it hangs on. Its type is found from its content, never believed from the
sender, and everything but safe images is served as a download.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
import tempfile
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import structlog
from PIL import Image, ImageOps, UnidentifiedImageError
from pyramid.config import Configurator
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from crm_core import clock, forms
from crm_core.i18n import _
from crm_core.models.records import Blob, File
from crm_core.records import operations
from crm_core.records.gate import WITH_PARENT, Gate
from crm_core.records.saving import NotAllowed, team_of
from crm_core.security import permissions
from crm_core.specs import Entity, Permission

log = structlog.get_logger(__name__)

#: Largest file of a record, bytes.
MAX_SIZE = 50 * 1024 * 1024
#: Pixels of a picture that is re-encoded, at most: a small file can hold a huge picture.
MAX_PIXELS = 40_000_000
AVATAR = 256
CHUNK = 1 << 20

#: Pictures that a browser may show in place: they are drawn, never run.
SAFE_IMAGES = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})

_SIGNATURES: tuple[tuple[bytes, str], ...] = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"%PDF-", "application/pdf"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "application/x-ole-storage"),
    (b"PK\x03\x04", "application/zip"),
    (b"Rar!\x1a\x07", "application/vnd.rar"),
    (b"7z\xbc\xaf\x27\x1c", "application/x-7z-compressed"),
    (b"{\\rtf", "application/rtf"),
    (b"ID3", "audio/mpeg"),
    (b"OggS", "audio/ogg"),
)

#: What a zip is by the name of the file, where it is one of the office formats.
_OFFICE = {
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    "odt": "application/vnd.oasis.opendocument.text",
    "ods": "application/vnd.oasis.opendocument.spreadsheet",
}
#: Never taken: a file that a double click would run.
_REFUSED = frozenset(
    [
        "exe",
        "com",
        "scr",
        "bat",
        "cmd",
        "msi",
        "ps1",
        "vbs",
        "js",
        "jse",
        "wsf",
        "hta",
        "lnk",
        "cpl",
        "jar",
        "apk",
        "dll",
        "reg",
    ]
)


class FileSchema(forms.RecordSchema):
    """What is shown of a file; its content is never changed."""

    name = forms.text(_("Name"), required=True, maximum=170, searched=True)
    content_type = forms.text(_("Type"), readonly=True)
    size = forms.number(_("Size, bytes"), readonly=True)
    owner_id = forms.user(_("Put here by"), readonly=True)
    created_at = forms.datetime(_("Put here"), readonly=True)


FILE = Entity(
    name="core.file",
    title=_("File"),
    title_plural=_("Files"),
    model=File,
    schema=FileSchema,
    permission_prefix="files",
    url="/files",
    icon="paperclip",
    sort="created_at",
    descending=True,
    parent="subject",
    importable=False,
    searchable=False,
    in_menu=False,
)

VIEW = "files:view"
"""See and take the files of records one sees."""

DELETE = "files:delete"
"""Take files off records."""

_EVERYBODY = tuple(role.name for role in permissions.ROLES)
PERMISSIONS = (
    Permission(
        name=VIEW,
        title=_("See the files of records one sees"),
        group=_("Files"),
        scopes=(WITH_PARENT,),
        default=dict.fromkeys(_EVERYBODY, WITH_PARENT),
    ),
    Permission(
        name=DELETE,
        title=_("Delete files"),
        group=_("Files"),
        scopes=("own", WITH_PARENT, "all"),
        default={
            **dict.fromkeys(_EVERYBODY, "own"),
            permissions.ADMINISTRATOR: "all",
            permissions.SPECIALIST: WITH_PARENT,
        },
    ),
)


class FileError(ValueError):
    """Tells why a file is not taken; `message` is a message id."""

    def __init__(self, message: str) -> None:
        super().__init__(str(message))
        self.message = message


class Store:
    """The folder of contents: `ab/cd/abcd...`, written once, never changed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, digest: str) -> Path:
        """Return where a content is; ValueError for what is no digest."""
        if not re.fullmatch(r"[0-9a-f]{64}", digest):
            raise ValueError("not a digest")
        return self.folder / digest[:2] / digest[2:4] / digest

    def put(self, stream: IO[bytes], limit: int = MAX_SIZE) -> tuple[str, int]:
        """Write a content and return its digest and size; FileError when it is larger than the limit."""
        self.folder.mkdir(parents=True, exist_ok=True)
        hasher, size = hashlib.sha256(), 0
        with tempfile.NamedTemporaryFile(dir=self.folder, prefix=".new-", delete=False) as draft:
            try:
                while chunk := stream.read(CHUNK):
                    size += len(chunk)
                    if size > limit:
                        raise FileError(
                            _("The file is larger than ${size} MB.", mapping={"size": limit // 1024 // 1024})
                        )
                    hasher.update(chunk)
                    draft.write(chunk)
                draft.flush()
                os.fsync(draft.fileno())
                target = self.path(hasher.hexdigest())
                target.parent.mkdir(parents=True, exist_ok=True)
                os.replace(draft.name, target)
            except BaseException:
                Path(draft.name).unlink(missing_ok=True)
                raise
        return hasher.hexdigest(), size

    @contextmanager
    def open(self, digest: str) -> Iterator[IO[bytes]]:
        """Open a content for reading."""
        with self.path(digest).open("rb") as stream:
            yield stream


def store(session: Session, folder: Store, stream: IO[bytes], *, limit: int = MAX_SIZE) -> tuple[str, int]:
    """Keep a content and note it down; return its digest and size."""
    digest, size = folder.put(stream, limit)
    session.execute(
        insert(Blob.__table__).values(digest=digest, size=size, created_at=clock.now()).on_conflict_do_nothing()
    )
    return digest, size


def store_picture(
    session: Session, folder: Store, stream: IO[bytes], *, side: int = AVATAR, square: bool = True
) -> str:
    """Re-encode a picture (which drops whatever else it carries) and keep it as PNG; return its digest."""
    try:
        Image.MAX_IMAGE_PIXELS = MAX_PIXELS
        with Image.open(stream) as opened:
            if opened.format not in ("PNG", "JPEG", "GIF", "WEBP"):
                raise FileError(_("Choose a picture: PNG, JPEG, GIF or WebP."))
            picture = ImageOps.exif_transpose(opened).convert("RGBA")
    except (UnidentifiedImageError, OSError, Image.DecompressionBombError, SyntaxError):
        raise FileError(_("Choose a picture: PNG, JPEG, GIF or WebP.")) from None
    picture = ImageOps.fit(picture, (side, side)) if square else ImageOps.contain(picture, (side, side))
    encoded = io.BytesIO()
    picture.save(encoded, "PNG", optimize=True)
    encoded.seek(0)
    return store(session, folder, encoded)[0]


def content_type(head: bytes, name: str) -> str:
    """Return the type that the content itself shows; text and unknown things are told apart by their bytes."""
    for signature, kind in _SIGNATURES:
        if head.startswith(signature):
            if kind == "application/zip":
                return _OFFICE.get(name.rpartition(".")[2].lower(), kind)
            return kind
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "image/webp"
    if b"\x00" in head:
        return "application/octet-stream"
    # HTML, SVG and scripts are text too; as text/plain no browser runs them.
    return "text/plain"


def safe_name(name: str) -> str:
    """Return a file name without folders, control characters and what other systems do not take."""
    name = unicodedata.normalize("NFC", name).replace("\\", "/").rpartition("/")[2]
    name = "".join(c for c in name if c.isprintable() and c not in '<>:"|?*').strip(" .")
    stem, dot, ending = name.rpartition(".")
    if dot and stem:
        return f"{stem[:150]}.{ending[:20]}"
    return name[:170] or "file"


def attach(gate: Gate, folder: Store, entity: str, record_id: int, name: str, stream: IO[bytes]) -> File:
    """Put a file on a record that the subject may change; FileError when the file is not taken."""
    if not gate.visible_ids(entity, [record_id], "edit" if gate.may(entity, "edit") else "view"):
        raise NotAllowed(_("You may see this record but not change it."))
    name = safe_name(name)
    if name.rpartition(".")[2].lower() in _REFUSED:
        raise FileError(_("Programs are not taken: pack the file into an archive if it is needed."))
    session = gate.session
    digest, size = store(session, folder, stream)
    with folder.open(digest) as stored:
        kind = content_type(stored.read(4096), name)
    operations.describe(session, gate.subject, kind="file", entity=entity, record_id=record_id, note=name)
    found = File(
        name=name,
        digest=digest,
        size=size,
        content_type=kind,
        subject_entity=entity,
        subject_id=record_id,
        owner_id=gate.subject.user_id,
        team_id=team_of(session, gate.subject.user_id),
        created_by=gate.subject.user_id,
    )
    session.add(found)
    session.flush()
    return found


def disposition(file: Any) -> str:
    """Return how the file is served: `inline` for safe images, `attachment` for everything else."""
    return "inline" if file.content_type in SAFE_IMAGES else "attachment"


def includeme(config: Configurator) -> None:
    """Give requests `file_store`, the folder of contents of this installation."""
    data = Path(config.get_settings().get("crm.data", "var"))
    found = Store(data / "files")
    config.registry["crm.files"] = found
    config.add_request_method(lambda request: request.registry["crm.files"], "file_store", reify=True)
