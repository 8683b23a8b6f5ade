"""Asks SSM and EC2 which images a NodeClass means now."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import Any, Final

from nodesmith.adapters.aws.cache import Cache
from nodesmith.adapters.aws.client import AwsClient
from nodesmith.adapters.aws.images import (
    FoundImage,
    ImageQuery,
    Wanted,
    choose_images,
    parameters_of_alias,
    parse_image,
    queries_of,
)
from nodesmith.api.ec2nodeclass import AMI, EC2NodeClass
from nodesmith.ports.clock import Clock
from nodesmith.ports.errors import NotFound

ALIAS_TTL: Final = timedelta(hours=24)
CUSTOM_PARAMETER_TTL: Final = timedelta(minutes=5)
_A_PAGE: Final = 1000


class ImageSource:
    """Images by NodeClass; the same question is asked once in `refresh`, SSM less often."""

    def __init__(self, client: AwsClient, clock: Clock, *, refresh: timedelta) -> None:
        self._client = client
        self._clock = clock
        self._parameters: Cache[str, str] = Cache(clock, ALIAS_TTL)
        self._found: Cache[ImageQuery, tuple[FoundImage, ...]] = Cache(clock, refresh)

    async def images(self, node_class: EC2NodeClass, version: str) -> tuple[AMI, ...]:
        """The images that the NodeClass means on this Kubernetes version, newest first.

        Raises:
            UnsupportedAlias: when its alias means nothing for the version.
            PortError: when AWS does not answer.
        """
        wanted: dict[str, tuple[Wanted, ...]] = {}
        if node_class.alias:
            for parameter in parameters_of_alias(node_class.alias, version):
                image = await self._parameter(parameter.path, ALIAS_TTL)
                if image:
                    wanted[image] = (*wanted.get(image, ()), *parameter.wanted)
        terms = node_class.spec.ami_selector_terms
        custom = [term.ssm_parameter for term in terms if term.ssm_parameter]
        given = [image for name in custom if (image := await self._parameter(name, CUSTOM_PARAMETER_TTL))]
        found: dict[str, FoundImage] = {}
        for query in queries_of(terms, (*wanted, *given)):
            for each in await self._found.get(query, partial(self._describe, query)):
                found[each.id] = each
        self._forget_deprecated(found, node_class, version)
        return choose_images(found.values(), wanted)

    def _forget_deprecated(self, found: dict[str, FoundImage], node_class: EC2NodeClass, version: str) -> None:
        """A parameter that led to a deprecated image is asked for again: `latest` may have moved on."""
        if not node_class.alias.endswith("@latest"):
            return
        for parameter in parameters_of_alias(node_class.alias, version):
            image = found.get(self._parameters.peek(parameter.path) or "")
            if image is not None and image.is_deprecated:
                self._parameters.drop(parameter.path)

    async def _parameter(self, name: str, ttl: timedelta) -> str:
        """The parameter's value, empty where there is no such parameter."""
        known = self._parameters.peek(name)
        if known is not None:
            return known
        try:
            answer = await self._client.call("ssm", "GetParameter", Name=name)
        except NotFound:
            return ""
        value = str(answer["Parameter"]["Value"])
        self._parameters.set(name, value, ttl=ttl)
        return value

    async def _describe(self, query: ImageQuery) -> tuple[FoundImage, ...]:
        filters = [{"Name": name, "Values": list(values)} for name, values in query.filters]
        filters.append({"Name": "state", "Values": ["available"]})
        owners: dict[str, Any] = {"Owners": list(query.owners)} if query.owners else {}
        raw = await self._client.everything(
            "ec2", "DescribeImages", "Images", Filters=filters, IncludeDeprecated=True, MaxResults=_A_PAGE, **owners
        )
        now = self._clock.now()
        return tuple(image for each in raw if (image := parse_image(each, now)) is not None)
