"""XMP packets (ISO 16684-1): what a source says of itself, and what is added to that."""

from collections.abc import Iterable, Iterator
from html import escape  # that of xml.sax imports what speaks HTTP
from pathlib import Path
from typing import Final
from xml.dom.minidom import Document, Element, parseString
from xml.parsers.expat import ExpatError

import av

from cdrl_cli._version import __version__

_RDF: Final = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_XMP: Final = "http://ns.adobe.com/xap/1.0/"
_DC: Final = "http://purl.org/dc/elements/1.1/"
_IPTC: Final = "http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
_MEDIA: Final = "http://ns.adobe.com/xap/1.0/mm/"

_EVENT: Final = "http://ns.adobe.com/xap/1.0/sType/ResourceEvent#"

_OURS: Final = f"spfem {__version__}"
_REPLACED: Final = (
    (_IPTC, "DigitalSourceType"),
    (_MEDIA, "InstanceID"),  # it names one state of a file, and this is another one
)


def read_xmp(path: Path) -> str | None:
    """The XMP packet of an MP4 or QuickTime file; None where it has none, or cannot be read.

    Args:
        path: The file.
    """
    try:
        with av.open(
            str(path.absolute()),
            # As every input is opened: nothing that a file names is fetched for it.
            container_options={
                "export_xmp": "1",
                "pattern_type": "none",
                "protocol_whitelist": "file",
            },
            metadata_errors="surrogateescape",
        ) as container:
            return container.metadata.get("xmp")
    except (av.error.FFmpegError, OSError, ValueError):
        return None


def is_readable(packet: str) -> bool:
    """Whether a packet is XMP that can be added to."""
    return _parse(packet) is not None


def make_packet(description: str, source_type: str, kept: str | None = None) -> bytes:
    """A packet that says how a file came about, with IPTC's properties of videos.

    Args:
        description: What was done, in a sentence.
        source_type: IPTC's digital source type.
        kept: The packet of the file that it was made of. It stays: the properties that no longer
            hold are replaced, and what was done is added to its history.
    """
    document = None if kept is None else _parse(kept)
    if document is None:
        tool = f'xmp:CreatorTool="{escape(_OURS)}"'
        return _wrap(_describe([_typed(source_type), tool], _said(description)))
    graph = _graph(document)
    assert graph is not None  # it was looked for
    about = [one.getAttributeNS(_RDF, "about") for one in _descriptions(graph)]
    is_ours = _remove_ours(graph)
    for namespace, name in _REPLACED:
        _remove(graph, namespace, name)
    attributes, content = [_typed(source_type)], []
    if is_ours or not _has(graph, _XMP, "CreatorTool"):
        attributes.append(f'xmp:CreatorTool="{escape(_OURS)}"')
    if not _has(graph, _DC, "description"):
        content.append(_said(description))
    event = (
        f'<rdf:li rdf:parseType="Resource"><stEvt:action>edited</stEvt:action>'
        f"<stEvt:softwareAgent>{escape(_OURS)}</stEvt:softwareAgent>"
        f"<stEvt:parameters>{escape(description, quote=False)}</stEvt:parameters></rdf:li>"
    )
    history = f"<xmpMM:History><rdf:Seq>{event}</rdf:Seq></xmpMM:History>"
    added = parseString(_describe(attributes, "".join([*content, history])))
    own = next(_descriptions(_found(added)))
    own.setAttribute("xmlns:rdf", _RDF)  # the packet may call it otherwise
    if about and about[0]:
        own.setAttributeNS(_RDF, "rdf:about", about[0])
    for old in graph.getElementsByTagNameNS(_MEDIA, "History"):
        sequence = next(iter(old.getElementsByTagNameNS(_RDF, "Seq")), None)
        new = next(iter(own.getElementsByTagNameNS(_MEDIA, "History")))
        item = new.getElementsByTagNameNS(_RDF, "li")[0]
        if sequence is not None:
            item.setAttribute("xmlns:rdf", _RDF)
            item.setAttribute("xmlns:stEvt", _EVENT)
            sequence.appendChild(document.importNode(item, deep=True))
            own.removeChild(new)
        break
    graph.appendChild(document.importNode(own, deep=True))
    whole = document.documentElement
    assert whole is not None
    return _wrap(whole.toxml())


def _typed(source_type: str) -> str:
    return f'Iptc4xmpExt:DigitalSourceType="{escape(source_type)}"'


def _said(description: str) -> str:
    text = escape(description, quote=False)
    return (
        f'<dc:description><rdf:Alt><rdf:li xml:lang="x-default">{text}</rdf:li>'
        "</rdf:Alt></dc:description>"
    )


def _describe(attributes: Iterable[str], content: str) -> str:
    """A document of one description."""
    names = {"xmp": _XMP, "dc": _DC, "Iptc4xmpExt": _IPTC, "xmpMM": _MEDIA, "stEvt": _EVENT}
    used = [
        f'xmlns:{prefix}="{name}"'
        for prefix, name in names.items()
        if any(f"{prefix}:" in text for text in (*attributes, content))
    ]
    return (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/">\n'
        f' <rdf:RDF xmlns:rdf="{_RDF}">\n'
        f'  <rdf:Description rdf:about="" {" ".join([*used, *attributes])}>\n'
        f"   {content}\n  </rdf:Description>\n </rdf:RDF>\n</x:xmpmeta>"
    )


def _wrap(root: str) -> bytes:
    head = '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
    return f'{head}\n{root}\n<?xpacket end="r"?>'.encode()


def _parse(packet: str) -> Document | None:
    """A packet's document; None where it is none, or declares a type, which XMP never does."""
    if "<!DOCTYPE" in packet:
        return None
    try:
        document = parseString(packet.encode().strip(b"\0 \t\r\n"))
    except (ExpatError, ValueError):
        return None
    return document if _graph(document) is not None else None


def _graph(document: Document) -> Element | None:
    return next(iter(document.getElementsByTagNameNS(_RDF, "RDF")), None)


def _found(document: Document) -> Element:
    graph = _graph(document)
    assert graph is not None
    return graph


def _descriptions(graph: Element) -> Iterator[Element]:
    for node in graph.childNodes:
        if isinstance(node, Element) and node.localName == "Description":
            yield node


def _has(graph: Element, namespace: str, name: str) -> bool:
    return any(
        one.hasAttributeNS(namespace, name) or list(_properties(one, namespace, name))
        for one in _descriptions(graph)
    )


def _properties(description: Element, namespace: str, name: str) -> Iterator[Element]:
    for node in list(description.childNodes):
        if isinstance(node, Element) and (node.namespaceURI, node.localName) == (namespace, name):
            yield node


def _remove(graph: Element, namespace: str, name: str) -> None:
    for one in _descriptions(graph):
        if one.hasAttributeNS(namespace, name):
            one.removeAttributeNS(namespace, name)
        for node in _properties(one, namespace, name):
            one.removeChild(node)


def _remove_ours(graph: Element) -> bool:
    """Take away what an earlier edit of ours said of the file; whether there was one."""
    tools = [one.getAttributeNS(_XMP, "CreatorTool") for one in _descriptions(graph)]
    if not any(tool.startswith("spfem ") for tool in tools):
        return False
    _remove(graph, _XMP, "CreatorTool")
    _remove(graph, _DC, "description")
    return True
