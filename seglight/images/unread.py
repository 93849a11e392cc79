"""Image formats that are not supported, by name: so that none is called damaged or skipped silently."""

from seglight.images.file_in_memory import AnyFile

RAW = ("3fr", "arw", "cr2", "cr3", "crw", "dcr", "dng", "erf", "iiq", "kdc", "mef", "mrw", "nef", "nrw", "orf", "pef",
       "raf", "rw2", "rwl", "sr2", "srf", "srw", "x3f")  # fmt: skip
"""Suffixes of raw files of cameras: many are TIFFs inside, whose first page is a thumbnail."""

ENDINGS = {
    **{f".{ending}": f"camera raw ({ending.upper()})" for ending in RAW},
    ".heic": "HEIC",
    ".heics": "HEIC",
    ".heif": "HEIF",
    ".heifs": "HEIF",
    ".hif": "HEIF",
    ".avifs": "AVIF with several frames",
    ".mpo": "JPEG with several pictures (MPO)",
    ".apng": "animated PNG",
    ".jxl": "JPEG XL",
    ".jxr": "JPEG XR",
    ".wdp": "JPEG XR",
    ".jls": "JPEG-LS",
    ".jpx": "JPEG 2000 with extensions",
    ".svg": "SVG",
    ".svgz": "SVG",
    ".psd": "Photoshop",
    ".psb": "Photoshop",
    ".xcf": "GIMP",
    ".exr": "OpenEXR",
    ".pfm": "PFM",
    ".tga": "Targa",
    ".pcx": "PCX",
    ".dds": "DDS",
    ".sgi": "SGI",
    ".qoi": "QOI",
    ".ico": "ICO",
    ".icns": "ICNS",
    ".eps": "PostScript",
    ".wmf": "WMF",
    ".emf": "EMF",
    ".dcm": "DICOM",
    ".fits": "FITS",
    ".czi": "CZI",
    ".nd2": "ND2",
    ".lif": "LIF",
}
"""Name of the format by suffix."""

BEGINNINGS = {
    b"\xff\x0a": "JPEG XL",
    b"\0\0\0\x0cJXL ": "JPEG XL",
    b"8BPS": "Photoshop",
    b"gimp xcf": "GIMP",
    b"\x76\x2f\x31\x01": "OpenEXR",
    b"#?RADIANCE": "Radiance HDR",
    b"#?RGBE": "Radiance HDR",
    b"II\xbc\x01": "JPEG XR",
    b"\0\0\x01\0": "ICO",
    b"icns": "ICNS",
    b"DDS ": "DDS",
    b"qoif": "QOI",
    b"%PDF-": "PDF",
    b"FUJIFILMCCD-RAW": "camera raw (RAF)",
    b"IIU\0": "camera raw (RW2)",
    b"IIRO": "camera raw (ORF)",
    b"IIRS": "camera raw (ORF)",
    b"MMOR": "camera raw (ORF)",
    b"SIMPLE  =": "FITS",
}
"""Name of the format by the first bytes of a file."""


def unread_ending(file: AnyFile) -> str:
    """Name of the unsupported format with a file's suffix, or ""."""
    return ENDINGS.get(file.suffix.lower(), "")


def unread_content(head: bytes) -> str:
    """Name of the unsupported format with these first bytes, or ""."""
    for beginning, name in BEGINNINGS.items():
        if head.startswith(beginning):
            return name
    if head[8:10] == b"CR" and head.startswith(b"II*\0"):
        return "camera raw (CR2)"
    if head[128:132] == b"DICM":
        return "DICOM"
    return "SVG" if b"<svg" in head[:1024].lower() else ""
